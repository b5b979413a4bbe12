import { type Service, startRole } from './service.ts'

export interface LenientApi extends AsyncDisposable {
  /** As `Service.enqueue`. */
  enqueue(job: Record<string, unknown>): Promise<string>
}

/** Of clouds: whoever means them must say so. */
const named = ['169.254.169.254', '100.100.100.200']

/**
 * One more API of the deployment, which allows every network: what it lets pass meets only the guards of the processor and
 * of the notifier.
 */
export async function startLenientApi({ configFile, dir, receiver }: Service): Promise<LenientApi> {
  const all = JSON.stringify(['0.0.0.0/0', '::/0', ...named])
  const env = { DOWNLOADER_PROCESSOR__ALLOW_NETWORKS: all, DOWNLOADER_NOTIFIER__ALLOW_NETWORKS: all }
  const role = startRole(['api', '-p', '0', '-c', configFile], { cwd: dir, env })
  const { url } = await role.logged(({ msg }) => msg === 'listening')
  return {
    async enqueue(job) {
      const whole = { aggr_id: 'test', aggr_limit: 8, callback_type: 'http', callback_dst: receiver.url, ...job }
      const response = await fetch(`${url}/download`, { method: 'POST', body: JSON.stringify(whole) })
      const { id, detail } = (await response.json()) as { id: string; detail?: string }
      if (response.status !== 201) throw new Error(`${response.status}: ${detail}`)
      return id
    },
    async [Symbol.asyncDispose]() {
      await role.end('SIGKILL')
    },
  }
}
