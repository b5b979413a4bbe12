/** Interpreters whose scripts libmagic names; any other's are plain text. */
const INTERPRETERS: [RegExp, string][] = [
  [/^(ba|a|z|k|c|tc|fi)?sh$/, 'text/x-shellscript'],
  [/^i?python[\d.]*$|^pypy\d?$/, 'text/x-script.python'],
  [/^perl[\d.]*$/, 'text/x-perl'],
  [/^ruby[\d.]*$/, 'text/x-ruby'],
  [/^php[\d.]*$/, 'text/x-php'],
  [/^node(js)?$/, 'application/javascript'],
  [/^(wish|tclsh|expect)[\d.]*$/, 'text/x-tcl'],
  [/^lua[\d.]*$/, 'text/x-lua'],
  [/^awk$/, 'text/x-awk'],
  [/^gawk$/, 'text/x-gawk'],
  [/^nawk$/, 'text/x-nawk'],
]

/** A command in one of the usual folders, and its first argument. */
const SHEBANG = /^#![ \t]*(?:\/usr(?:\/local)?)?\/bin\/([\w.-]+)[ \t]*(?:-S[ \t]+)?(\S*)/

/** The type of a script that names its interpreter, or of PHP. */
export function scriptType(text: string): string | undefined {
  if (/^<\?php/i.test(text.slice(0, 5)) || /^<\?[\r\n]/.test(text.slice(0, 3))) return 'text/x-php'
  const [, path = '', argument = ''] = SHEBANG.exec(text.slice(0, 256)) ?? []
  const command = path === 'env' ? argument : path
  return INTERPRETERS.find(([names]) => names.test(command))?.[1]
}

/** libmagic's regular expressions see that much. */
const WINDOW = 8192

/** Whether a line, or what is left of it, holds `parts` in that order: `a.*b` without backtracking. */
const inOrder = (line: string, start: number, ...parts: string[]) => {
  let at = start
  for (const part of parts) {
    at = line.indexOf(part, at)
    if (at < 0) return false
    at += part.length
  }
  return true
}

/** Whether text holds one of the phrases by which libmagic knows JavaScript. */
export function isJavaScript(text: string): boolean {
  if (text.includes('"use strict"') || text.includes("'use strict'")) return true
  return text.slice(0, WINDOW).split('\n').some(isJavaScriptLine)
}

function isJavaScriptLine(line: string): boolean {
  if (/\((async )?function[( ]/.test(line)) return true
  if (/^export (function|class|default|const|var|let|async) /.test(line)) return true
  if (/^(import|export) ["']\.\//.test(line) || /^require\(["']/.test(line)) return true
  if (/^(import|export)/.test(line) && inOrder(line, 6, ' from ')) return true
  if (/^(const|var|let)/.test(line) && inOrder(line, 3, '=', 'require(')) return true
  if (['module.exports', 'module["exports', "module['exports"].some((name) => inOrder(line, 0, name, '='))) return true
  return inOrder(line, 0, 'typeof', '!==') || inOrder(line, 0, 'typeof', '===')
}
