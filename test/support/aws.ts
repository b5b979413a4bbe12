import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { startFauxqs } from 'fauxqs'

/** An S3 and SQS look-alike over HTTP on a free port, in memory. */
export async function startAws(buckets: string[] = []) {
  process.env.AWS_ACCESS_KEY_ID ??= 'test'
  process.env.AWS_SECRET_ACCESS_KEY ??= 'test'
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  const server = await startFauxqs({ port: 0, logger: false })
  const endpoint = server.address.replace('localhost', '127.0.0.1')
  const region = 'us-east-1'
  const client = new S3Client({ endpoint, region, forcePathStyle: true })
  for (const Bucket of buckets) await client.send(new CreateBucketCommand({ Bucket }))
  client.destroy()
  return {
    server,
    endpoint,
    region,
    [Symbol.asyncDispose]: async () => server.stop(),
  }
}
