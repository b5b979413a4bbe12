// A process of its own, and how to call its functions over IPC.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

type Commands = Record<string, (...args: never[]) => unknown>
type Remote<T extends Commands> = {
  [name in keyof T]: (...args: Parameters<T[name]>) => Promise<Awaited<ReturnType<T[name]>>>
}

interface Call {
  id: number
  name: string
  args: unknown[]
}
interface Reply {
  id: number
  result?: unknown
  error?: string
}

export interface Helper<T extends Commands> extends AsyncDisposable {
  readonly pid: number
  /** The functions that the process offers. */
  readonly ask: Remote<T>
}

/** In the process: offers `commands` to the parent, and ends with it. */
export function answer(commands: Commands): void {
  process.on('message', async ({ id, name, args }: Call) => {
    try {
      const command = commands[name] as ((...args: unknown[]) => unknown) | undefined
      if (!command) throw new Error(`there is no command ${name}`)
      process.send?.({ id, result: await command(...args) } satisfies Reply)
    } catch (error) {
      process.send?.({ id, error: String((error as Error).stack ?? error) } satisfies Reply)
    }
  })
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}

/** @param file relative to bench/; calls `answer` */
export async function startHelper<T extends Commands>(file: string): Promise<Helper<T>> {
  const child = fork(path.join(import.meta.dirname, file), { execArgv: ['--import', 'tsx'] })
  const calls = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  let lastId = 0
  const gone = once(child, 'exit').then(() => {
    for (const { reject } of calls.values()) reject(new Error(`${file} is gone`))
  })
  await Promise.race([once(child, 'message'), gone.then(() => Promise.reject(new Error(`${file} did not start`)))])
  child.on('message', ({ id, result, error }: Reply) => {
    const call = calls.get(id)
    calls.delete(id)
    if (error === undefined) call?.resolve(result as never)
    else call?.reject(new Error(`${file}: ${error}`))
  })
  const call = (name: string, args: unknown[]) =>
    new Promise((resolve, reject) => {
      const id = ++lastId
      calls.set(id, { resolve, reject })
      child.send({ id, name, args } satisfies Call)
    })

  return {
    pid: child.pid ?? 0,
    ask: new Proxy({} as Remote<T>, {
      get:
        (_, name) =>
        (...args: unknown[]) =>
          call(String(name), args),
    }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
