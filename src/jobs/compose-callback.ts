import type { Callback } from './callback.ts'
import { filePath, type Job, type Timings } from './job.ts'

/** @param downloadUrl base of the callback's `download_url`; `""` when the deployment has none */
export function composeCallback(job: Job, downloadUrl: string): Callback {
  const { request, result } = job
  const success = result?.success ?? false
  return {
    success,
    error: result?.error ?? '',
    extra: request?.extra ?? '',
    resource_url: request?.url ?? '',
    download_url: success && downloadUrl ? joinUrl(downloadUrl, filePath(job.id, request?.subpath)) : '',
    job_id: job.id,
    response_code: result?.responseCode ?? 0,
    image_size: result?.imageSize ?? '',
    delivered: true,
    delivery_error: '',
    error_code: result?.errorCode ?? '',
    size: result?.size ?? 0,
    sha256: result?.sha256 ?? '',
    mime_type: result?.mimeType ?? '',
    ...wayOf(job),
  }
}

/** Where the last attempt at a download went, and how long it took. */
export function wayOf({ request, result }: Job): Pick<Callback, 'final_url' | 'redirects' | 'timings'> {
  const [dns, connect, tls, first_byte, total]: Timings = result?.timings ?? [0, 0, 0, 0, 0]
  return {
    final_url: result?.finalUrl ?? (result?.timings && request ? place(request.url) : ''),
    redirects: result?.redirects ?? 0,
    timings: { dns, connect, tls, first_byte, total },
  }
}

/** A URL without what may be secret in it. */
function place(text: string): string {
  if (!URL.canParse(text)) return ''
  const { origin, pathname } = new URL(text)
  return origin + pathname
}

/** @param path below `base`, unescaped */
export function joinUrl(base: string, path: string): string {
  const escaped = path.split('/').map(encodeURIComponent).join('/')
  return `${base.replace(/\/+$/, '')}/${escaped}`
}
