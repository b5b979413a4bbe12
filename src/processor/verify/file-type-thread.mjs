// What runs in the thread of `fileTypes`: the answer to bytes is file-type's name of them, if it has one.
import { parentPort } from 'node:worker_threads'
import { fileTypeFromBuffer } from 'file-type'

parentPort?.on('message', async (bytes) => {
  // file-type throws at some hostile bytes
  const found = await fileTypeFromBuffer(bytes).catch(() => undefined)
  parentPort?.postMessage(found?.mime)
})
