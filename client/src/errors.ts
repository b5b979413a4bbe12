/** The API answered, and not with success: `message` is what its problem says, which names the field. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly status: number
  /** Seconds after which the API wants to be asked again; undefined where it does not say. */
  readonly retryAfterS: number | undefined

  constructor(status: number, detail: string, retryAfterS?: number) {
    super(detail)
    this.status = status
    this.retryAfterS = retryAfterS
  }
}

/** No answer came; whether the request was carried out is not known. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
}

/** A callback that must not be believed: its signature is missing, wrong, or old. */
export class CallbackRefused extends Error {
  override readonly name = 'CallbackRefused'
}
