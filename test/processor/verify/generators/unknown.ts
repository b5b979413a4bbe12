import { bytes } from '../builders.ts'
import { blob, type Generators } from './generator.ts'

export const unknown: Generators = {
  'small.bin': (random) => blob(random, 20, 200),
  'noise.bin': (random) => blob(random, 200, 9000),
  'large.bin': (random) => blob(random, 20_000, 40_000),
  'zeros.bin': (random) => Buffer.alloc(random.between(8, 9000)),
  'ours.bin': (random) => Buffer.concat([bytes(`\x0eX${random.between(100, 999)}\x01\x02`), blob(random, 20, 900)]),
}
