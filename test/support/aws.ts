import { startFauxqs } from 'fauxqs'

/** An S3 and SQS look-alike over HTTP on a free port, in memory. */
export async function startAws() {
  process.env.AWS_ACCESS_KEY_ID ??= 'test'
  process.env.AWS_SECRET_ACCESS_KEY ??= 'test'
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  const server = await startFauxqs({ port: 0, logger: false })
  return {
    server,
    endpoint: server.address.replace('localhost', '127.0.0.1'),
    region: 'us-east-1',
    [Symbol.asyncDispose]: async () => server.stop(),
  }
}
