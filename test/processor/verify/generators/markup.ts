import { type Generators, prose, sentence, word } from './generator.ts'

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'

export const markup: Generators = {
  'modern.html': (random) =>
    page(random.pick(['<!DOCTYPE html>', '<!doctype html>']), sentence(random), prose(random, 40)),
  'old.html': (random) =>
    page('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">', sentence(random), prose(random, 9)),
  'bare.html': (random) => page('', sentence(random), prose(random, 9)),
  'error.html': (random) =>
    `<html>\r\n<head><title>${random.between(400, 599)} ${word(random)}</title></head>\r\n<body><hr>nginx</body>\r\n</html>\r\n`,
  'latin1.html': (random) =>
    Buffer.from(page('<!DOCTYPE html>', 'caf\xe9', prose(random, 9)).replaceAll('time', 'cr\xe8me'), 'latin1'),
  'wide.html': (random) => Buffer.from(`\ufeff${page('<!DOCTYPE html>', word(random), prose(random, 9))}`, 'utf16le'),
  'large.html': (random) => page('<!DOCTYPE html>', sentence(random), prose(random, 900)),

  'feed.xml': (random) => {
    const items = Array.from(
      { length: random.between(0, 60) },
      () => `<item><title>${sentence(random)}</title></item>\n`,
    )
    return `${declaration}<rss version="2.0"><channel>\n${items.join('')}</channel></rss>\n`
  },
  'records.xml': (random) => {
    const [name, field] = [word(random), word(random)]
    const rows = Array.from(
      { length: random.between(1, 90) },
      () => `  <${name}><${field}>${word(random)}</${field}></${name}>\n`,
    )
    return `${declaration}<${name}s>\n${rows.join('')}</${name}s>\n`
  },
  'namespaced.xml': (random) =>
    `<?xml version='1.0'?>\n<!-- ${sentence(random)} -->\n<a:${word(random)} xmlns:a="urn:${word(random)}"/>\n`,
  'wide.xml': (random) => Buffer.from(`\ufeff<?xml version="1.0" encoding="UTF-16"?><${word(random)}/>`, 'utf16le'),
  'page.xhtml': (random) =>
    `${declaration}<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n${page('', word(random), prose(random, 9))}`,
}

function page(doctype: string, title: string, content: string): string {
  const body = content.split('\n').map((text) => `<p>${text}</p>`)
  return `${doctype ? `${doctype}\n` : ''}<html lang="en">\n<head><title>${title}</title></head>\n<body>${body.join('\n')}</body>\n</html>\n`
}
