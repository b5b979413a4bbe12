import { randomOf } from '../../chaos/random.ts'
import { archives } from './generators/archives.ts'
import { documents } from './generators/documents.ts'
import type { Generators } from './generators/generator.ts'
import { images } from './generators/images.ts'
import { markup } from './generators/markup.ts'
import { sounds } from './generators/sounds.ts'
import { texts } from './generators/texts.ts'
import { unknown } from './generators/unknown.ts'
import { videos } from './generators/videos.ts'
import { type Sample, samples } from './samples.ts'

const GENERATORS: Generators = {
  ...images,
  ...sounds,
  ...videos,
  ...archives,
  ...documents,
  ...markup,
  ...texts,
  ...unknown,
}

/** Files of every family, the same in every run: the samples, and so many of each generator. */
export function generated(ofEach = 10): Sample[] {
  const made = Object.entries(GENERATORS).flatMap(([name, make]) =>
    Array.from({ length: ofEach }, (_, i) => {
      const [start, extension] = name.split('.')
      return { name: `${start}-${i}.${extension}`, content: Buffer.from(make(randomOf(`${name} ${i}`))) }
    }),
  )
  return [...samples(), ...made]
}
