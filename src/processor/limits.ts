/**
 * The limit that holds where the deployment has one, and a job may have a lower one.
 *
 * @param deployment 0 means none
 * @returns 0 for none
 */
export function lowerLimit(deployment: number, job: number | undefined): number {
  if (job === undefined) return deployment
  return deployment === 0 ? job : Math.min(deployment, job)
}
