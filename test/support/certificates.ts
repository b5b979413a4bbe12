import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A key and its certificate, in PEM. */
export interface Identity {
  key: string
  cert: string
}

export interface Certificates extends AsyncDisposable {
  /** The authority that signed `good`, `byName`, `expired`, `notYetValid` and `otherHost`: in PEM, and as a file for `NODE_EXTRA_CA_CERTS`. */
  ca: string
  caFile: string
  /** For 127.0.0.1, localhost and `good.test`. */
  good: Identity
  /** For localhost, but not for its addresses. */
  byName: Identity
  expired: Identity
  /** From 2048 on. */
  notYetValid: Identity
  /** For `other.test` only. */
  otherHost: Identity
  selfSigned: Identity
}

/** Certificates made by the `openssl` command in a folder of its own. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(path.join(tmpdir(), 'certificates-'))
  const openssl = (...args: string[]) => run('openssl', args, { cwd: dir })
  const here = 'IP:127.0.0.1,DNS:localhost,DNS:good.test'

  async function selfSigned(name: string, extension: string): Promise<Identity> {
    const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`]
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    await openssl('req', '-x509', ...newKey, ...files, '-days', '2', '-subj', `/CN=${name}`, '-addext', extension)
    return read(name)
  }

  async function requested(name: string, names: string): Promise<void> {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    await writeFile(path.join(dir, `${name}.ext`), `subjectAltName=${names}\n`)
  }

  async function signed(name: string, names: string, days: number): Promise<Identity> {
    await requested(name, names)
    const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', ...files, '-days', `${days}`)
    return read(name)
  }

  /** `openssl x509` can say when a certificate ends, but only `openssl ca` when it begins. */
  async function signedFrom(name: string, names: string, begin: string): Promise<Identity> {
    await requested(name, names)
    const settings =
      'database=index\nnew_certs_dir=.\nserial=ca.srl\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied'
    await writeFile(path.join(dir, 'ca.cnf'), `[ca]\ndefault_ca=own\n[own]\n${settings}\n`)
    await writeFile(path.join(dir, 'index'), '')
    const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`]
    const dates = ['-startdate', begin, '-days', '2']
    await openssl('ca', '-batch', '-config', 'ca.cnf', '-cert', 'ca.crt', '-keyfile', 'ca.key', ...files, ...dates)
    return read(name)
  }

  async function read(name: string): Promise<Identity> {
    const text = (extension: string) => readFile(path.join(dir, name + extension), 'utf8')
    return { key: await text('.key'), cert: await text('.crt') }
  }

  const ca = await selfSigned('ca', 'keyUsage=critical,keyCertSign')
  return {
    ca: ca.cert,
    caFile: path.join(dir, 'ca.crt'),
    good: await signed('good', here, 2),
    byName: await signed('by-name', 'DNS:localhost', 2),
    expired: await signed('expired', here, -1),
    notYetValid: await signedFrom('early', here, '20480101000000Z'),
    otherHost: await signed('other', 'DNS:other.test', 2),
    selfSigned: await selfSigned('self', `subjectAltName=${here}`),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
