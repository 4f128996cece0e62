/** Why a photo has no cutout, or that it has one: what `explain` finds, for a program to put into words. */
export type Reason =
  | { code: 'there'; layouts: string[] }
  | { code: 'no-photo'; bucket: string; former: boolean }
  /** It is none of those that are cut out; `why` is what the upload function says of it. */
  | { code: 'skipped'; why: string }
  | { code: 'no-preset'; named: string; presets: string[] }
  /** Nothing would be paid for it, by an error of lib/errors.ts. */
  | { code: 'refused'; error: string; message: string }
  | { code: 'held'; layouts: string[]; asker: string; until: string }
  | { code: 'given-up'; message: string }
  | { code: 'waiting' }
  | { code: 'tried'; asker: string; at: string; failure?: string }
  | { code: 'untried'; layouts: string[]; hasTrigger?: boolean; former: boolean }

/** A reason in one sentence, and what can be done in another. */
export function say(reason: Reason): { why: string; advice?: string } {
  switch (reason.code) {
    case 'there':
      return { why: `It has all that is made at upload: ${reason.layouts.join(', ')}.` }
    case 'no-photo': {
      const left = reason.former ? ' Cutouts of a former photo are still there.' : ''
      return { why: `There is no such photo in ${reason.bucket}.${left}` }
    }
    case 'skipped':
      return { why: `It has none because ${WORDS[reason.why] ?? reason.why}.`, ...adviceFor(reason.why) }
    case 'no-preset':
      return {
        why: `It has none because its metadata names a preset that does not exist: ${reason.named}.`,
        advice: `The presets are ${reason.presets.join(', ')}.`,
      }
    case 'refused':
      return { why: `It has none (${reason.error}): ${reason.message}`, ...adviceFor(reason.error) }
    case 'held':
      return {
        why: `It is being made (${reason.layouts.join(', ')}): the right to pay was claimed for ${forWhom(reason.asker)} and ends ${reason.until}.`,
        advice: 'Look again then; if nothing was made, the next event or request claims another attempt.',
      }
    case 'given-up':
      return {
        why: `It has none because its event was given up: ${reason.message}`,
        advice: '`replay` delivers it again, once the cause is mended.',
      }
    case 'waiting':
      return { why: 'It has none yet: its event is waiting, or being handled.' }
    case 'tried': {
      const failure = reason.failure === undefined ? '' : ` (${reason.failure})`
      return {
        why: `It has none: the last attempt, for ${forWhom(reason.asker)} ${reason.at}, made nothing${failure}.`,
        advice: 'The next event or request for it makes it; `backfill run` does so for all.',
      }
    }
    case 'untried': {
      const { layouts, hasTrigger, former } = reason
      const before = former ? ' There are cutouts of the photo that it has replaced.' : ''
      const trigger = hasTrigger === false ? ', and no trigger gives the function what arrives in this folder' : ''
      return {
        why: `It has none (${layouts.join(', ')}) because nobody has tried in the last day: no event came for it, and nobody asked for its URL${trigger}.${before}`,
        advice:
          hasTrigger === false
            ? '`deploy` makes the trigger; `backfill run` cuts out what is there already.'
            : '`doctor` says whether the trigger is right; `backfill run` cuts out what is there already.',
      }
    }
  }
}

function forWhom(asker: string): string {
  return { trigger: 'an upload', url: 'an image URL', presigned: 'a presigned upload' }[asker] ?? asker
}

const WORDS: Readonly<Record<string, string>> = {
  'not in a source folder': 'it does not lie in a source folder',
  'a cutout': 'it is itself a cutout, or has the name of one',
  'too long a key': 'its key is longer than COS allows',
  empty: 'it is empty',
  'not an image by its type and name': 'neither its type nor its name is that of a picture which the vendor reads',
  'off by its metadata': 'its own metadata say so (x-cos-meta-matting: off)',
  'no layouts for its folder': 'ON_UPLOAD names no layouts for its folder',
}

/** What an operator can do about a reason or a code. */
const ADVICE: Readonly<Record<string, string>> = {
  'not in a source folder': 'SOURCE_PREFIXES names the source folders; a key begins with one, and has no / in front.',
  'not an image by its type and name': 'Store it as image/jpeg, image/png, image/webp or image/bmp.',
  'no layouts for its folder': 'Name some in ON_UPLOAD, or ask for its URL with a layout.',
  'off by its metadata': 'Store it again without that metadata.',
  'too-large':
    'Store one of fewer bytes or pixels; where MAX_SOURCE_BYTES is the bound, it can be raised up to what the vendor takes.',
  'not-an-image': 'Store it again; until it changes, the vendor is not asked again.',
  'no-product': 'Store another photo; until it changes, the vendor is not asked again.',
  refused: 'Store it again; `purge` removes the mark and lets the vendor be asked once more.',
  'limit-reached': 'DAILY_LIMIT starts anew at midnight, UTC; `backfill run` makes what was missed.',
  'changing-too-fast': 'Somebody stores it again and again; after a minute of rest it is cut out.',
  denied: '`doctor` says what is missing: the role, Cloud Infinite, or AI recognition.',
  misconfigured: '`doctor` says what is wrong.',
}

function adviceFor(why: string): { advice?: string } {
  return ADVICE[why] === undefined ? {} : { advice: ADVICE[why] }
}
