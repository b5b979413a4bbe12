import type { Random } from '../../../chaos/random.ts'
import { type Generators, prose, sentence, word } from './generator.ts'

const LANGUAGES = [
  'Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ',
  'Съешь же ещё этих мягких французских булок, да выпей чаю. ',
  'いろはにほへと ちりぬるを わかよたれそ つねならむ。',
  'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ',
  'نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. ',
  'Une 🦊 rapide saute par-dessus le chien paresseux, déjà là. ',
]

export const texts: Generators = {
  'object.json': (random) => JSON.stringify(record(random, 4)),
  'pretty.json': (random) => `${JSON.stringify(record(random, 4), null, random.pick([2, 4, '\t']))}\n`,
  'list.json': (random) => JSON.stringify(Array.from({ length: random.between(0, 90) }, () => record(random, 2))),
  'large.json': (random) => JSON.stringify(Array.from({ length: 900 }, () => record(random, 2))),
  'lines.ndjson': (random) =>
    Array.from({ length: random.between(2, 90) }, () => `${JSON.stringify(record(random, 2))}\n`).join(''),

  'table.csv': (random) => table(random, random.between(3, 200), random.between(2, 9), random.pick(['\n', '\r\n'])),
  'large.csv': (random) => table(random, 3000, random.between(2, 9), '\n'),
  'quoted.csv': (random) =>
    Array.from(
      { length: random.between(4, 90) },
      () => `"${sentence(random)}","${word(random)}, ""${word(random)}""",5\n`,
    ).join(''),

  'prose.txt': (random) => prose(random, random.between(1, 90)),
  'long.txt': (random) => prose(random, 900),
  'languages.txt': (random) => random.pick(LANGUAGES).repeat(random.between(1, 300)),
  'wide.txt': (random) => Buffer.from(`\ufeff${random.pick(LANGUAGES).repeat(random.between(1, 90))}`, 'utf16le'),
  'marked.txt': (random) => `\ufeff${prose(random, 9)}`,
  'windows.txt': (random) => prose(random, 9).replaceAll('\n', '\r\n'),
  'latin1.txt': (random) => Buffer.from(prose(random, 9).replaceAll('e', '\xe9'), 'latin1'),
  'readme.md': (random) =>
    `# ${sentence(random)}\n\n${prose(random, 9)}\n\n- ${word(random)}\n- [${word(random)}](http://example.org/)\n`,
  'server.log': (random) =>
    Array.from(
      { length: random.between(1, 90) },
      (_, i) => `2024-01-01T00:00:${i % 60} INFO ${sentence(random)}\n`,
    ).join(''),
  'settings.ini': (random) => `[${word(random)}]\n${word(random)} = ${word(random)}\n; ${sentence(random)}\n`,
  'settings.yaml': (random) => `${word(random)}:\n  - ${word(random)}\n  - ${word(random)}\n`,
  'event.ics': (random) =>
    `BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:${sentence(random)}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n`,
  'mail.eml': (random) => `From: a@example.org\nSubject: ${sentence(random)}\n\n${prose(random, 9)}`,

  'tool.sh': (random) => `#!/bin/${random.pick(['sh', 'bash'])}\nset -e\necho "${sentence(random)}"\n`,
  'tool.py': (random) =>
    `#!/usr/bin/env python3\nimport os\n\ndef ${word(random)}():\n    return "${sentence(random)}"\n`,
  'library.py': (random) => `import os\n\n\ndef ${word(random)}(a):\n    """${sentence(random)}"""\n    return a\n`,
  'tool.pl': (random) => `#!/usr/bin/perl\nuse strict;\nprint "${sentence(random)}\\n";\n`,
  'page.php': (random) => `<?php\n// ${sentence(random)}\necho "${word(random)}";\n`,
  'main.c': (random) => `#include <stdio.h>\n\nint main(void)\n{\n\tputs("${sentence(random)}");\n\treturn 0;\n}\n`,
  'style.css': (random) => `.${word(random)} {\n  color: #${random.between(100, 999)};\n}\n`,
  'change.diff': (random) =>
    `--- a/${word(random)}\n+++ b/${word(random)}\n@@ -1 +1 @@\n-${word(random)}\n+${word(random)}\n`,
}

function record(random: Random, depth: number): Record<string, unknown> {
  const value = (): unknown => {
    switch (random.between(0, depth > 0 ? 6 : 4)) {
      case 0:
        return sentence(random)
      case 1:
        return random.between(-1e9, 1e9)
      case 2:
        return random.next()
      case 3:
        return random.pick([true, false, null])
      case 4:
        return random.pick(LANGUAGES)
      case 5:
        return record(random, depth - 1)
      default:
        return Array.from({ length: random.between(0, 3) }, () => record(random, depth - 1))
    }
  }
  return Object.fromEntries(Array.from({ length: random.between(0, 5) }, () => [word(random), value()]))
}

function table(random: Random, rows: number, columns: number, end: string): string {
  const cell = () => random.pick([word(random), String(random.between(0, 9999)), ''])
  const row = () => Array.from({ length: columns }, cell).join(',') + end
  return Array.from({ length: rows }, row).join('')
}
