// What any downloader has to do, with as little around it as Node needs.
import { mkdir, open, rename } from 'node:fs/promises'
import path from 'node:path'
import { Agent, request } from 'undici'

const TIMEOUT_MS = 30_000

/** Connections that are kept and used again; one for each process. */
export const keepAlive = () =>
  new Agent({ connections: 256, connectTimeout: 5000, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })

/** GET → file → fsync → rename. Resolves to the bytes. */
export async function download(dispatcher: Agent, url: string, temporary: string, target: string): Promise<number> {
  const { statusCode, body } = await request(url, { dispatcher })
  if (statusCode !== 200) {
    await body.dump()
    throw new Error(`the origin answered ${statusCode}`)
  }
  let bytes = 0
  const file = await open(temporary, 'w')
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      await file.write(chunk)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, target)
  return bytes
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Folders to spread files over, made once. Resolves to the path of a file. */
export async function fanOut(dir: string): Promise<(name: string, n: number) => string> {
  const folders = Array.from({ length: 256 }, (_, i) => path.join(dir, i.toString(16).padStart(2, '0')))
  for (const folder of folders) await mkdir(folder, { recursive: true })
  return (name, n) => path.join(folders[n % folders.length] ?? dir, name)
}

/** POST, with what a callback of ours says. */
export async function callBack(dispatcher: Agent, url: string, id: string, bytes: number): Promise<void> {
  const callback = {
    success: true,
    error: '',
    error_code: '',
    extra: '',
    resource_url: '',
    download_url: `http://files.test/${id}`,
    job_id: id,
    response_code: 200,
    size: bytes,
  }
  const headers = { 'content-type': 'application/json' }
  const { statusCode, body } = await request(url, {
    dispatcher,
    method: 'POST',
    headers,
    body: JSON.stringify(callback),
  })
  await body.dump()
  if (statusCode < 200 || statusCode > 299) throw new Error(`the receiver answered ${statusCode}`)
}
