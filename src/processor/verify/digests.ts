import { createHash, type Hash } from 'node:crypto'
import type { Checksum } from '../../jobs/checksum.ts'
import { JobError } from '../../jobs/errors.ts'

export interface Digests {
  update(bytes: Uint8Array): void
  /**
   * Ends the count; called once.
   *
   * @returns the SHA-256 in hex
   * @throws {JobError} `verify.checksum` when the bytes are not those that were expected
   */
  verified(): string
  /** As far as it has come; both go on from there. */
  copy(): Digests
}

/** Digests a body as it comes: its SHA-256 in any case, and another one only where the job expects that. */
export function digests(expected: Checksum | undefined): Digests {
  const other = expected && expected.algorithm !== 'sha256' ? createHash(expected.algorithm) : undefined
  return digesting(createHash('sha256'), other, expected)
}

function digesting(sha256: Hash, other: Hash | undefined, expected: Checksum | undefined): Digests {
  return {
    update(bytes) {
      sha256.update(bytes)
      other?.update(bytes)
    },
    verified() {
      const stored = sha256.digest('hex')
      const found = other ? other.digest('hex') : stored
      if (expected && found !== expected.hex) throw mismatch(expected, found)
      return stored
    },
    copy: () => digesting(sha256.copy(), other?.copy(), expected),
  }
}

/** Retried: what was damaged on its way, or served by a cache that lags behind, may come whole the next time. */
function mismatch({ algorithm, hex }: Checksum, found: string): JobError {
  return new JobError('verify.checksum', `Expected ${algorithm} to be (${hex}), found (${found})`, { retriable: true })
}
