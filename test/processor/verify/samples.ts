import zlib from 'node:zlib'
import { be16, be32, bytes, compoundFile, gif, jpeg, noise, png, tar, zip } from './builders.ts'
import { media, mediaNames } from './media.ts'

export interface Sample {
  name: string
  content: Buffer
}

const utf16 = (text: string, bigEndian = false) => {
  const littleEndian = Buffer.from(`\ufeff${text}`, 'utf16le')
  return bigEndian ? littleEndian.swap16() : littleEndian
}

const page = (start: string) =>
  `${start}<head><title>404 Not Found</title></head>\n<body><h1>Not Found</h1><p>The image is gone.</p></body></html>\n`
const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><path d="M0 0h10v10z"/></svg>\n'
const xml = '<?xml version="1.0" encoding="UTF-8"?>\n'
const prose = 'It was a bright cold day in April and the clocks were striking thirteen.\n'
const rows = (count: number, columns: number) =>
  Array.from({ length: count }, (_, row) => Array.from({ length: columns }, (_, col) => row * col).join(',')).join('\n')

const TEXTS: Record<string, string | Buffer> = {
  'page.html': page('<!DOCTYPE html>\n<html lang="en">'),
  'upper-case.html': page('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">\n<HTML>').toUpperCase(),
  'no-doctype.html': page('<html>'),
  'white-space.html': page('\n\r\n\t  <!doctype html>\n<html>'),
  'comment.html': page('<!-- served by nginx -->\n<!DOCTYPE html><html>'),
  'bom.html': Buffer.from(`\ufeff${page('<!DOCTYPE html><html>')}`),
  'utf-16le.html': utf16(page('<!DOCTYPE html><html>')),
  'utf-16be.html': utf16(page('<!DOCTYPE html><html>'), true),
  'latin1.html': Buffer.from(page('<!DOCTYPE html><html><!-- caf\xe9 -->'), 'latin1'),
  'fragment.html': '<div class="error"><a href="/">home</a></div>\n',
  'inline-svg.html': page(`<!DOCTYPE html><html><body>${svg}`),
  'head-only.html': '<head>\n<meta charset="utf-8"></head>\n',
  'script-only.html': '<script>location = "/login"</script>\n',
  'nginx-502.html':
    '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n',
  'xhtml.html': `${xml}<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "xhtml1-strict.dtd">\n${page('<html xmlns="http://www.w3.org/1999/xhtml">')}`,
  'xhtml-no-declaration.html': page('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "xhtml11.dtd">\n<html>'),

  'feed.xml': `${xml}<rss version="2.0"><channel><title>News</title></channel></rss>\n`,
  'atom.xml': `${xml}<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title></feed>\n`,
  'soap.xml': `${xml}<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"/>\n`,
  'single-quotes.xml': "<?xml version='1.0'?>\n<a/>\n",
  'bom.xml': Buffer.from(`\ufeff${xml}<a/>`),
  'utf-16.xml': utf16('<?xml version="1.0" encoding="UTF-16"?><a/>'),
  's3-error.xml': `${xml}<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`,
  'no-declaration.xml': '<rss version="2.0"><channel/></rss>\n',
  'sitemap.xml': `${xml}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"/>\n`,
  'plain.svg': svg,
  'declared.svg': xml + svg,
  'comment.svg': `${xml}<!-- Generator: Adobe Illustrator -->\n${svg}`,
  'doctype.svg': `${xml}<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">\n${svg}`,
  'doctype-only.svg': `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">\n${svg}`,

  'object.json': '{"id": 1, "tags": ["a", "b"], "ok": true, "none": null, "ratio": -1.5e3}\n',
  'array.json': '[1, 2, {"a": "\\u00e9\\n"}]',
  'empty-object.json': '{}',
  'empty-array.json': ' []\n',
  'error.json': '{"error":"not found","status":404}',
  'nested.json': `${'['.repeat(200)}${']'.repeat(200)}`,
  'lines.ndjson': '{"a":1}\n{"a":2}\n{"a":3}\n',
  'scalar.json': '"only a string"\n',
  'broken.json': '{"a": 1, b: 2}\n',
  'cut.json': '{"a": [1, 2, {"b": "c',
  'too-deep.json': `${'['.repeat(400)}${']'.repeat(400)}`,
  'bom.json': Buffer.from('\ufeff{"a":1}'),
  'single-quotes.json': "{'a': 1}\n",

  'three.csv': 'id,name,price\n1,apple,0.5\n2,pear,0.6\n',
  'crlf.csv': 'id,name,price\r\n1,apple,0.5\r\n2,pear,0.6\r\n',
  'quoted.csv': '"id","name, first"\n1,"a ""b""\nc"\n2,"d"\n3,e\n',
  'many.csv': rows(200, 6),
  'two-lines.csv': 'a,b,c\n1,2,3\n',
  'uneven.csv': 'a,b,c\n1,2\n3,4,5\n',
  'uneven-later.csv': `${rows(12, 3)}\nno more commas\n`,
  'semicolons.csv': 'a;b;c\n1;2;3\n4;5;6\n',
  'tabs.tsv': 'a\tb\tc\n1\t2\t3\n4\t5\t6\n',

  'prose.txt': prose.repeat(40),
  'a-comma-on-every-line.txt': 'Well, yes.\n'.repeat(20),
  'one-line.txt': 'OK',
  'utf-8.txt': 'Größe: 5 € – 日本語 😀\n',
  'bom.txt': Buffer.from('\ufeffGröße\n'),
  'utf-16le.txt': utf16(prose),
  'utf-16be.txt': utf16(prose, true),
  'latin1.txt': Buffer.from('caf\xe9 cr\xe8me\n', 'latin1'),
  'windows-1252.txt': Buffer.from('\x93quoted\x94 \x96 \x80 5\n', 'latin1'),
  'shift-jis.txt': Buffer.from('93fa967b8cea82cc834c8358836780', 'hex'),
  'cut-character.txt': Buffer.from(`${prose}日本`).subarray(0, -1),
  'control.txt': 'bell \x07, escape \x1b[1m, form feed \x0c\n',
  'padded.txt': 'text\n\0\0\0\0',
  'markdown.md': '# Title\n\n- one\n- two\n\n[link](http://example.org/)\n',
  'bitmap.txt': 'BM is not always a bitmap\n',
  'parquet.txt': 'PARENT and PARTNER\n',
  'solid.txt': 'solid advice for everyone\n',
  'format.txt': 'FORMAT of this file\n',
  'empty-line.txt': '\n\n',
  'style.css': 'body { color: red; font: 12px/1 sans-serif }\n',
  'settings.yaml': 'a: 1\nb:\n  - c\n  - d\n',
  'settings.ini': '[section]\nkey=value\n',
  'event.ics': 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n',
  'person.vcf': 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A B\r\nEND:VCARD\r\n',
  'subtitles.vtt': 'WEBVTT\n\n00:01.000 --> 00:04.000\nHello\n',
  'subtitles.srt': '1\n00:00:01,000 --> 00:00:04,000\nHello\n',
  'mail.eml': 'From: a@example.org\nTo: b@example.org\nSubject: hi\n\nhello\n',
  'certificate.pem': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  'playlist.m3u8': '#EXTM3U\n#EXT-X-VERSION:3\n',

  'script.sh': '#!/bin/sh\necho hello\n',
  'script.bash': '#!/usr/bin/env bash\necho hello\n',
  'script.py': '#!/usr/bin/env python3\nprint(1)\n',
  'script.pl': '#!/usr/bin/perl -w\nuse strict;\n',
  'script.rb': '#!/usr/bin/env ruby\nputs 1\n',
  'script.php': '<?php echo "hello";\n',
  'page.php': '<?php session_start(); ?>\n<html><head><title>x</title></head></html>\n',
  'strict.js': '"use strict";\nmodule.exports = 1\n',
  'module.js': "import fs from 'fs'\nexport const a = 1\n",
  'node.js': '#!/usr/bin/env node\nconsole.log(1)\n',
  'minified.js': '!function(a){a()}(function(){(function(){return 1})()});\n',
  'main.c': '#include <stdio.h>\nint main(void) { return 0; }\n',
  'change.diff': '--- a/file\n+++ b/file\n@@ -1 +1 @@\n-a\n+b\n',
  'query.sql': 'SELECT * FROM t WHERE a = 1;\n',
}

const member = 'some content\n'
const odf = (kind: string): [string, string][] => [
  ['mimetype', `application/vnd.oasis.opendocument.${kind}`],
  ['content.xml', member],
  ['META-INF/manifest.xml', member],
]
const ooxml = (...names: string[]) =>
  zip([...['[Content_Types].xml', '_rels/.rels'], ...names].map((name) => [name, member.repeat(9)]))

const font = (start: string) =>
  Buffer.concat([bytes(start), be16(2), Buffer.alloc(6), bytes('OS/2'), be32(0), be32(44), be32(96), Buffer.alloc(300)])

const BINARIES: Record<string, Buffer> = {
  'empty.bin': Buffer.alloc(0),
  'one-byte.bin': Buffer.from('a'),
  'zeros.bin': Buffer.alloc(5000),
  'counted.bin': Buffer.from(Array.from({ length: 2000 }, (_, i) => (i * 7) & 0xff)),
  'nul-in-text.bin': bytes(`${prose}\0${prose}`),
  'delete.bin': bytes('a\x7fb\n'),
  'utf-16-control.bin': utf16('a\x01b'),

  'small.png': png(3, 2),
  'large.png': png(2000, 1000),
  'with-zip.png': Buffer.concat([png(3, 2), zip([['a.txt', member]])]),
  'small.gif': gif(3, 2),
  'text-only.gif': bytes('GIF89a=1;alert(1)//'),
  'plain.jpg': jpeg(3, 2),
  'header-only.jpg': bytes('\xff\xd8\xff\xe0'),
  'header-only.webp': bytes('RIFFabcdWEBPVP8 '),
  'pixels.ppm': bytes('P6\n2 2\n255\n\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b'),
  'pixels.pgm': bytes('P5\n2 2\n255\n\0\x01\x02\x03'),
  'pixels.pbm': bytes('P4\n8 2\n\x01\x02'),
  'text.ppm': bytes('P3\n1 1\n255\n1 2 3\n'),
  'text.pgm': bytes('P2\n1 1\n255\n1\n'),
  'text.pbm': bytes('P1\n2 2\n1 0 0 1\n'),
  'open.exr': bytes(`\x76\x2f\x31\x01\x02\0\0\0channels\0${'\0'.repeat(60)}`),
  'sky.fits': bytes(`SIMPLE  =                    T${' '.repeat(50)}END${' '.repeat(77)}`),
  'book.djvu': bytes(`AT&TFORM\0\0\x01\0DJVU${'\0'.repeat(60)}`),
  'icons.icns': Buffer.concat([bytes('icns'), be32(64), bytes('ic07'), be32(56), Buffer.alloc(48)]),
  'pixels.qoi': bytes('qoif\0\0\0\x04\0\0\0\x04\x04\0\x01\x02\x03\x04'),
  'shot.xpm': bytes('/* XPM */\nstatic char *a[] = {\n"1 1 1 1",\n"a c #000000",\n"a"};\n'),
  'raw.cr2': bytes(`II*\0\x10\0\0\0CR\x02\0${'\0'.repeat(60)}`),

  'song.mid': bytes(`MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk\0\0\0\x04\0\xff\x2f\0`),
  'song.rmi': bytes('RIFF\x40\0\0\0RMIDdata\0\0\0\0'),
  'voice.amr': bytes('#!AMR\n\x0c\x01\x02\x03'),
  'monkey.ape': bytes(`MAC \x96\x0f${'\0'.repeat(60)}`),
  'with-id3.mp3': bytes(`ID3\x03\0\0\0\0\0\x10${'\0'.repeat(16)}\xff\xfb\x90\x64${'\0'.repeat(60)}`),
  'program.mpg': bytes(`\0\0\x01\xba\x44\0\x04\0\x04\x01${'\0'.repeat(60)}`),
  'stream.ts': Buffer.concat(Array.from({ length: 5 }, () => bytes(`\x47\x40\0\x10${'\0'.repeat(184)}`))),
  'old.mov': bytes(`\0\0\0\x20moov\0\0\0\x18mvhd${'\0'.repeat(60)}`),

  'hello.txt.gz': zlib.gzipSync(member.repeat(50)),
  'tarred.tar.gz': zlib.gzipSync(tar('a.txt', member)),
  'deflated.zlib': zlib.deflateSync(member.repeat(50)),
  'hello.tar': tar('a.txt', member),
  'hello.zip': zip([['a.txt', member]]),
  'empty.zip': zip([]),
  'members.zip': zip([
    ['b/', ''],
    ['b/c.txt', member],
  ]),
  'java.jar': zip([
    ['META-INF/MANIFEST.MF', member.repeat(50)],
    ['A.class', member],
  ]),
  'android.apk': zip([
    ['AndroidManifest.xml', member],
    ['classes.dex', member],
  ]),
  'hello.7z': bytes(`7z\xbc\xaf\x27\x1c\0\x04${'\0'.repeat(60)}`),
  'hello.rar': bytes(`Rar!\x1a\x07\x01\0${'\0'.repeat(60)}`),
  'old.rar': bytes(`Rar!\x1a\x07\0${'\0'.repeat(60)}`),
  'hello.lz4': bytes('\x04\x22\x4d\x18\x64\x40\xa7\x05\0\0\x80hello\0\0\0\0'),
  'hello.lz': bytes(`LZIP\x01\x0c${'\0'.repeat(30)}`),
  'hello.lzma': bytes(`\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0${'\x12'.repeat(30)}`),
  'hello.cab': bytes(`MSCF\0\0\0\0\x60\0\0\0\0\0\0\0\x2c\0\0\0\0\0\0\0\x03\x01\x01\0\x01${'\0'.repeat(60)}`),
  'hello.deb': bytes('!<arch>\ndebian-binary   1000000000  0     0     100644  4         `\n2.0\n\0\x01'),
  'hello.a': bytes('!<arch>\n/               1000000000  0     0     100644  4         `\n\0\0\0\0'),
  'hello.rpm': bytes(`\xed\xab\xee\xdb\x03\0\0\0\0\x01${'\0'.repeat(90)}`),

  'plain.pdf': bytes('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n'),
  'binary.pdf': Buffer.concat([bytes('%PDF-1.7\n%\xb5\xb5\xb5\xb5\nstream\n'), noise(3, 900)]),
  'late.pdf': bytes('\n\n%PDF-1.4\n1 0 obj\n'),
  'drawing.ps': bytes('%!PS-Adobe-3.0\n%%Pages: 1\nshowpage\n'),
  'drawing.eps': bytes('%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n'),
  'letter.rtf': bytes('{\\rtf1\\ansi Hello}\n'),
  'word.docx': ooxml('word/document.xml', 'word/styles.xml'),
  'word-properties.docx': ooxml('docProps/app.xml', 'word/document.xml'),
  'excel.xlsx': ooxml('xl/workbook.xml', 'xl/worksheets/sheet1.xml'),
  'point.pptx': ooxml('ppt/presentation.xml'),
  'visio.vsdx': ooxml('visio/document.xml'),
  'word.doc': compoundFile(['WordDocument', '1Table']),
  'excel.xls': compoundFile(['Workbook']),
  'text.odt': zip(odf('text')),
  'table.ods': zip(odf('spreadsheet')),
  'slides.odp': zip(odf('presentation')),
  'drawing.odg': zip(odf('graphics')),
  'template.ott': zip(odf('text-template')),
  'book.epub': zip([
    ['mimetype', 'application/epub+zip'],
    ['META-INF/container.xml', member],
  ]),

  'true-type.ttf': font('\0\x01\0\0'),
  'open-type.otf': font('OTTO'),
  'web.woff': bytes(`wOFF\0\x01\0\0\0\0\x01\0${'\0'.repeat(60)}`),
  'web.woff2': bytes(`wOF2\0\x01\0\0\0\0\x01\0${'\0'.repeat(60)}`),
  'collection.ttc': Buffer.concat([bytes('ttcf\0\x01\0\0\0\0\0\x01\0\0\0\x10'), font('\0\x01\0\0')]),
  'type1.pfb': bytes('\x80\x01\x10\0\0\0%!PS-AdobeFont-1.0: Test\n'),
}

/** One file of each kind that somebody thought of, and what encoders wrote. */
export function samples(): Sample[] {
  const named = Object.entries({ ...TEXTS, ...BINARIES }).map(([name, content]) => ({
    name,
    content: Buffer.from(content),
  }))
  return [...named, ...mediaNames.map((name) => ({ name, content: media(name) }))]
}
