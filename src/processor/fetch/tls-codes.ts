import type { ErrorCode } from '../../jobs/errors.ts'

type TlsCode = Extract<ErrorCode, `tls.${string}` | 'response.http2_only'>

/** What Node says about certificates. */
const certificateCodes: Record<string, TlsCode> = {
  CERT_HAS_EXPIRED: 'tls.expired',
  CERT_NOT_YET_VALID: 'tls.not_yet_valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls.hostname',
  HOSTNAME_MISMATCH: 'tls.hostname',
  CERT_CHAIN_TOO_LONG: 'tls.untrusted',
  CERT_REJECTED: 'tls.untrusted',
  CERT_REVOKED: 'tls.untrusted',
  CERT_SIGNATURE_FAILURE: 'tls.untrusted',
  CERT_UNTRUSTED: 'tls.untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls.untrusted',
  INVALID_CA: 'tls.untrusted',
  INVALID_PURPOSE: 'tls.untrusted',
  PATH_LENGTH_EXCEEDED: 'tls.untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls.untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'tls.untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls.untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls.untrusted',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'tls.untrusted',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'tls.untrusted',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'tls.untrusted',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'tls.untrusted',
  UNSPECIFIED: 'tls.untrusted', // what Node has no word for: keys that are too small, digests that are too old
}
/** What OpenSSL says about everything else, by the first that fits; its codes change a little from version to version. */
const handshakeCodes: [RegExp, TlsCode][] = [
  [/^ERR_SSL_.*NO_APPLICATION_PROTOCOL/, 'response.http2_only'],
  [/^ERR_SSL_.*(ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE|VERSION_TOO_LOW)/, 'tls.version'],
  [/^ERR_SSL_.*(ALERT|UNRECOGNIZED_NAME)/, 'tls.handshake'], // the other side's word
  [/^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO$)/, 'tls.failed'],
]

/** What an error of Node's TLS means, by its code; undefined when it is none of TLS. */
export function tlsCode(code: string): TlsCode | undefined {
  return certificateCodes[code] ?? handshakeCodes.find(([codes]) => codes.test(code))?.[1]
}
