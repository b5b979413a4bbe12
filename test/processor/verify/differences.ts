import { be32, bytes, compoundFile, noise, zip } from './builders.ts'

/** Where we deliberately differ from libmagic 5.44 (`file --mime-type`), each shown by a file. */
export interface Difference {
  why: string
  ours: string
  theirs: string
  example: Buffer
}

const text = (content: string) => Buffer.from(content)
const svg = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h10v10z"/></svg>\n'
const part = 'some content\n'
const installerClass = Buffer.from('84100c0000000000c000000000000046', 'hex')
/** More than the first bytes that decide. */
const prose = 'It was a bright cold day in April and the clocks were striking thirteen.\n'.repeat(500)

export const differences: Difference[] = [
  {
    why: 'an SVG behind white space or a comment is still an image; libmagic wants its tag or an XML declaration first',
    ours: 'image/svg+xml',
    theirs: 'text/plain',
    example: text(`<!-- drawn by hand -->\n${svg}`),
  },
  {
    why: 'an SVG behind a byte order mark is still an image',
    ours: 'image/svg+xml',
    theirs: 'text/xml',
    example: text(`\ufeff<?xml version="1.0"?>\n${svg}`),
  },
  {
    why: 'XML is an image when its root is svg, not when it holds an svg somewhere: an error page must not pass as one',
    ours: 'text/xml',
    theirs: 'image/svg+xml',
    example: text(`<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>${svg}</body></html>`),
  },
  {
    why: 'text that mentions the beginning of an SVG is none (the cache of gdk-pixbuf does)',
    ours: 'text/plain',
    theirs: 'image/svg+xml',
    example: text('# patterns of the formats\n"svg" "svgz" ""\n" <svg" "*    " 100\n" <!DOCTYPE svg" "" 100\n'),
  },
  {
    why: 'a page that does not begin with its doctype is full of JavaScript all the same',
    ours: 'text/html',
    theirs: 'application/javascript',
    example: text('\n<!DOCTYPE html><html><script>(function () { "use strict" })()</script></html>'),
  },
  {
    why: 'source code is text/plain unless its interpreter is named: clients ask for text/*',
    ours: 'text/plain',
    theirs: 'text/x-c',
    example: text('#include <stdio.h>\nint main(void) { return 0; }\n'),
  },
  {
    why: 'a patch that is mailed is a mail',
    ours: 'message/rfc822',
    theirs: 'text/x-diff',
    example: text('From: a@example.org\nSubject: a\n\ndiff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-a\n+b\n'),
  },
  {
    why: 'text whose first letters are a command of plotters (PA, IN, SP) is text',
    ours: 'text/plain',
    theirs: 'application/vnd.hp-HPGL',
    example: text('PAM is short for Pluggable Authentication Modules\n'),
  },
  {
    why: 'env finds sh as well as bash',
    ours: 'text/x-shellscript',
    theirs: 'text/plain',
    example: text('#!/usr/bin/env sh\necho hello\n'),
  },
  {
    why: 'JSON is known by its first 16 KiB, not by its end: who wants JSON notices soon enough',
    ours: 'application/json',
    theirs: 'text/plain',
    example: text(`${JSON.stringify(Array.from({ length: 5000 }, (_, i) => i))} and so on`),
  },
  {
    why: 'only the first 16 KiB are judged: what follows may be anything',
    ours: 'text/plain',
    theirs: 'application/octet-stream',
    example: Buffer.concat([text(prose), bytes('\0\x01\x02 binary')]),
  },
  {
    why: 'EBCDIC is not text on the web; almost any short binary could be it',
    ours: 'application/octet-stream',
    theirs: 'text/plain',
    example: Buffer.from('8885939396a640a69699938415', 'hex'),
  },
  {
    why: 'the parts of an Office document may come in any order (python-docx writes this one)',
    ours: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    theirs: 'application/octet-stream',
    example: zip(
      [
        '[Content_Types].xml',
        '_rels/.rels',
        'docProps/core.xml',
        'docProps/app.xml',
        'customXml/a',
        'word/document.xml',
      ].map((name) => [name, part]),
    ),
  },
  {
    why: 'an archive that begins with a manifest is a Java archive, also where all of it is short',
    ours: 'application/java-archive',
    theirs: 'application/zip',
    example: zip([
      ['META-INF/MANIFEST.MF', 'Manifest-Version: 1.0\r\n\r\n'],
      ['A.class', part],
    ]),
  },
  {
    why: 'an old Office document is known by its streams, also without the name of the program that wrote it',
    ours: 'application/vnd.ms-powerpoint',
    theirs: 'application/x-ole-storage',
    example: compoundFile(['Current User', 'PowerPoint Document']),
  },
  {
    why: 'a Windows installer package is known by its class alone',
    ours: 'application/x-msi',
    theirs: 'application/x-ole-storage',
    example: compoundFile(['\u4840\u3f3f'], installerClass),
  },
  {
    why: 'a transport stream may begin with any of its packets (FFmpeg begins with the service description)',
    ours: 'video/MP2T',
    theirs: 'application/octet-stream',
    example: Buffer.concat(
      Array.from({ length: 5 }, (_, i) => Buffer.concat([bytes('\x47\x40\x11\x10'), noise(i, 184)])),
    ),
  },
  {
    why: 'an ISO media file of an unknown brand is a video like any other',
    ours: 'video/mp4',
    theirs: 'application/octet-stream',
    example: Buffer.concat([be32(24), bytes('ftypXAVC\0\0\0\0XAVCmp42'), be32(8), bytes('free'), Buffer.alloc(60)]),
  },
  {
    why: 'file-type knows more formats than libmagic has names for; so does this service',
    ours: 'audio/wavpack',
    theirs: 'application/octet-stream',
    example: Buffer.concat([bytes('wvpk\x20\x01\0\0\x10\x04'), noise(7, 300)]),
  },
  {
    why: 'what lies beyond the first 16 KiB is not looked at: the mark of a CD image stands at 32 KiB',
    ours: 'application/octet-stream',
    theirs: 'application/x-iso9660-image',
    example: Buffer.concat([Buffer.alloc(32768), bytes('\x01CD001\x01'), Buffer.alloc(4096)]),
  },
  {
    why: 'two bytes that could be a jump make no program for DOS of what nothing else is known of',
    ours: 'application/octet-stream',
    theirs: 'application/x-dosexec',
    example: Buffer.concat([bytes('\xb8\x63\x01\x20\xd7\x73\x97\xe8'), noise(8, 300)]),
  },
  {
    why: 'files of Unix systems that nobody downloads (terminfo, key rings, window dumps) need no rules here',
    ours: 'application/octet-stream',
    theirs: 'image/x-xwindowdump',
    example: Buffer.concat([
      be32(100),
      be32(7),
      be32(2),
      be32(24),
      Buffer.alloc(84),
      bytes('xwdump\0\0'),
      noise(9, 200),
    ]),
  },
]
