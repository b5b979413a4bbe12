// What any downloader has to do, with as little around it as Node needs.
import { createHash } from 'node:crypto'
import { mkdir, open, rename } from 'node:fs/promises'
import path from 'node:path'
import { fileTypeFromBuffer } from 'file-type'
import { Agent, request } from 'undici'

const TIMEOUT_MS = 30_000
/** What file-type wants to see. */
const SNIFF_BYTES = 4100

/** Connections that are kept and used again; one for each process. */
export const keepAlive = () =>
  new Agent({ connections: 256, connectTimeout: 5000, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })

/** Looks at what comes, and says in the end what it was. */
export interface Inspector {
  see(chunk: Buffer): void
  end(): Promise<{ sha256: string; mimeType: string }>
}

/** The digest of all, and the type by the first bytes: what a Node team would take. */
export function inspector(): Inspector {
  const hash = createHash('sha256')
  let head: Buffer = Buffer.alloc(0)
  return {
    see(chunk) {
      hash.update(chunk)
      if (head.length < SNIFF_BYTES) head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    },
    async end() {
      const type = await fileTypeFromBuffer(head.subarray(0, SNIFF_BYTES))
      return { sha256: hash.digest('hex'), mimeType: type?.mime ?? 'text/plain' }
    },
  }
}

/** GET → file → fsync → rename. Resolves to the bytes. */
export async function download(
  dispatcher: Agent,
  url: string,
  temporary: string,
  target: string,
  inspected?: Inspector,
): Promise<number> {
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
      inspected?.see(chunk)
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
export async function callBack(
  dispatcher: Agent,
  url: string,
  id: string,
  bytes: number,
  verified = { sha256: '', mimeType: '' },
): Promise<void> {
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
    sha256: verified.sha256,
    mime_type: verified.mimeType,
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
