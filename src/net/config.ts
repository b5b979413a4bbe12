import { z } from 'zod'
import { parseNetwork } from './address-guard.ts'

const Network = z.string().superRefine((text, issues) => {
  try {
    parseNetwork(text)
  } catch (error) {
    issues.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})

/** CIDRs that are exempt from the address guard. */
export const AllowNetworks = z.array(Network).default([])

/** Ports that are exempt from the address guard. */
export const AllowPorts = z.array(z.number().int().min(1).max(65_535)).default([])
