import { type Announcement, announce } from './announce.ts'
import type { Invocation } from './invocation.ts'
import { isTry } from './source.ts'

/** The longest time for one announcement, all attempts together, in milliseconds. */
const MAX_ANNOUNCE_TIME = 15_000

/** How an invocation tells the next system, if there is one. */
export function createTell({ config, cos, now, random, deadline }: Invocation): (news: Announcement) => Promise<void> {
  const { eventsUrl: url, eventsSecret: secret, events: types, bucket, region } = config
  const [folder = ''] = config.sourcePrefixes
  return async (announcement) => {
    if (!url || !secret || isTry(announcement.source.key, config.sourcePrefixes)) return
    // A receiver that is down must not use up the invocation's time: the news comes again with the next one.
    const until = Math.min(deadline, now() + MAX_ANNOUNCE_TIME)
    // For an object that was skipped by its event alone COS was not asked, so its clock is not known yet.
    if (announcement.type === 'source.skipped' && types.includes(announcement.type)) await cos.head(folder)
    const { clock } = cos
    await announce(announcement, { url, secret, types, bucket, region, now, clock, random, deadline: until })
  }
}
