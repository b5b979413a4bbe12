/** What a receiver is told, as it travels: every key always present, never null. */
export interface Callback {
  success: boolean
  /** `""` or the text of the failure; clients match on parts of it. */
  error: string
  /** The caller's string, as it came. */
  extra: string
  /** The caller's URL, byte for byte. */
  resource_url: string
  /** `""` unless `success`. */
  download_url: string
  job_id: string
  /** Status of the origin's last response; 0 when none came. */
  response_code: number
  /** `"WxH"` or `""`. */
  image_size: string
  /** Always true in a callback that is sent. */
  delivered: boolean
  /** Always `""` in a callback that is sent. */
  delivery_error: string
  /** `""` or a stable code, see `ErrorCode`. */
  error_code: string
  /** bytes stored; 0 when nothing was */
  size: number
  /** hex digest of what was stored, or `""` */
  sha256: string
  /** The type found, or `""`. */
  mime_type: string
  /** Where the redirects ended, without credentials and query; `""` when nothing was asked for. */
  final_url: string
  redirects: number
  /** ms, of the last attempt; see `Timings` */
  timings: { dns: number; connect: number; tls: number; first_byte: number; total: number }
}
