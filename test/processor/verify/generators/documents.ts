import { be16, be32, bytes, compoundFile, zip } from '../builders.ts'
import { blob, type Generators, prose, sentence, word } from './generator.ts'

const odf = (kind: string): Generators[string] => {
  return (random) =>
    zip([
      ['mimetype', `application/vnd.oasis.opendocument.${kind}`],
      ['content.xml', prose(random, 9)],
      ['META-INF/manifest.xml', prose(random, 3)],
    ])
}

/** As the programs write them: the properties first, or not at all. */
const ooxml = (...members: string[]): Generators[string] => {
  return (random) => {
    const others = random.pick([[], ['docProps/app.xml'], ['docProps/app.xml', 'docProps/core.xml']])
    const names = ['[Content_Types].xml', '_rels/.rels', ...(others.length < 2 ? others : []), ...members]
    return zip(names.map((name) => [name, prose(random, random.between(1, 30))]))
  }
}

const font = (start: string): Generators[string] => {
  return (random) => {
    const names = ['OS/2', 'cmap', 'glyf', 'head', 'hhea', 'hmtx', 'loca', 'maxp', 'name', 'post'].slice(
      random.between(0, 2),
    )
    const tables = names.map((name, i) =>
      Buffer.concat([bytes(name), blob(random, 4, 4), be32(300 + 64 * i), be32(64)]),
    )
    return Buffer.concat([
      bytes(start),
      be16(names.length),
      be16(128),
      be16(3),
      be16(32),
      ...tables,
      blob(random, 900, 2000),
    ])
  }
}

export const documents: Generators = {
  'paper.pdf': (random) =>
    pdf(random.pick(['1.3', '1.4', '1.5', '1.7', '2.0']), '%\xe2\xe3\xcf\xd3\n', blob(random, 200, 5000)),
  'plain.pdf': (random) => pdf('1.4', '', bytes(prose(random, 20))),
  'paper.ps': (random) =>
    `%!PS-Adobe-3.0\n%%Title: ${word(random)}\n%%Pages: ${random.between(1, 99)}\n%%EndComments\n`,
  'figure.eps': (random) => `%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 ${random.between(1, 999)} 100\nshowpage\n`,
  'letter.rtf': (random) => `{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Times;}}\n${prose(random, 9)}\\par}\n`,
  'letter.doc': (random) => compoundFile(['WordDocument', random.pick(['0Table', '1Table']), 'Data']),
  'table.xls': (random) => compoundFile([random.pick(['Workbook', 'Book']), 'Ctls']),
  'letter.docx': ooxml('word/document.xml', 'word/styles.xml'),
  'table.xlsx': ooxml('xl/workbook.xml', 'xl/worksheets/sheet1.xml'),
  'slides.pptx': ooxml('ppt/presentation.xml', 'ppt/slides/slide1.xml'),
  'letter.odt': odf('text'),
  'table.ods': odf('spreadsheet'),
  'slides.odp': odf('presentation'),
  'drawing.odg': odf('graphics'),
  'book.epub': (random) =>
    zip([
      ['mimetype', 'application/epub+zip'],
      ['META-INF/container.xml', sentence(random)],
      ['book.xhtml', prose(random, 30)],
    ]),

  'true-type.ttf': font('\0\x01\0\0'),
  'open-type.otf': font('OTTO'),
  'page.woff': (random) => web('wOFF', blob(random, 60, 2000)),
  'page.woff2': (random) => web('wOF2', blob(random, 60, 2000)),
}

function pdf(version: string, comment: string, stream: Buffer): Buffer {
  const start = bytes(`%PDF-${version}\n${comment}1 0 obj\n<</Length ${stream.length}>>\nstream\n`)
  return Buffer.concat([start, stream, bytes('\nendstream\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n')])
}

function web(start: string, content: Buffer): Buffer {
  return Buffer.concat([bytes(start), bytes('\0\x01\0\0'), be32(content.length), be16(10), be16(0), content])
}
