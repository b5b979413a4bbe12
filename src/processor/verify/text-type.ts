import { isCsv } from './csv.ts'
import { holdsHtml, markupType } from './markup.ts'
import { isJavaScript, scriptType } from './script.ts'
import type { Text } from './text.ts'

/** Text formats that are known by how they begin, with libmagic's names. */
const BEGINNINGS: [RegExp, string][] = [
  [/^.{0,256}?%PDF-/s, 'application/pdf'],
  [/^%!(?!PS-AdobeFont-|FontType1|PS-Adobe-3\.0 Resource-Font)/, 'application/postscript'],
  [/^\{\\u?rtf/, 'text/rtf'],
  [/^package[ \t]+[\w:]+[ \t]*;/, 'text/plain'], // a module of Perl, whatever it writes
  [/^BEGIN:VCALENDAR/i, 'text/calendar'],
  [/^BEGIN:VCARD/i, 'text/vcard'],
  [/^WEBVTT.{0,250}\d\d:\d\d\.\d{3} -->/s, 'text/vtt'],
  [/^1[\r\n]{1,2}0[01]:\d\d:\d\d,\d{3} -->/, 'application/x-subrip'],
  [
    /^(Relay-Version:|Delivered-To:|Return-Path:|Received:|From:|Date:|Forward to|Pipe to|N?#! rnews)/i,
    'message/rfc822',
  ],
  [/^(MIME-Version|Content-Type):/, 'text/plain'], // part of a mail, whatever it holds
  [/^(Path:|Xref:|Article)/, 'message/news'],
  [/^(diff |Index:|Only in |Common subdirectories: )/, 'text/x-diff'],
  [/^(--- .{0,512}\n\+\+\+ .{0,512}\n@@|\*\*\* .{0,512}\n--- )/, 'text/x-diff'],
  [/^-----BEGIN PGP SIGNED MESSAGE-/, 'text/PGP'],
  [/^-----BEGIN PGP SIGNATURE-/, 'application/pgp-signature'],
  [/^-----BEGIN PGP MESSAGE-/, 'application/pgp-encrypted'],
  [/^-----BEGIN PGP (PUBLIC|PRIVATE) KEY BLOCK-/, 'application/pgp-keys'],
  [/^Windows Registry Editor Version 5\.00\r\n/, 'text/x-ms-regedit'],
  [/^P1\s(?!000000000)/, 'image/x-portable-bitmap'],
  [/^P2\s/, 'image/x-portable-graymap'],
  [/^P3\s/, 'image/x-portable-pixmap'],
  [/^\/\* XPM \*\/.{0,1249}?\[\]/s, 'image/x-xpixmap'],
  [/^.?\[InternetShortcut/, 'application/x-mswinurl'],
]

/** libmagic's text/plain stands for every text that nothing more is known of. */
export function textType(bytes: Buffer, { content, encoding }: Text): string {
  if (encoding !== 'utf-32' && isCsv(bytes)) return 'text/csv'
  const type = scriptType(content) ?? markupType(content) ?? BEGINNINGS.find(([start]) => start.test(content))?.[1]
  if (type !== undefined) return type
  // a page without a doctype is full of JavaScript, and JavaScript that writes HTML is full of tags
  if (content.trimStart().startsWith('<') && holdsHtml(content)) return 'text/html'
  if (isJavaScript(content)) return 'application/javascript'
  return holdsHtml(content) ? 'text/html' : 'text/plain'
}
