// The package's door: what a server of your own needs. docs/library.md shows each of them.
export { type Grant, type ImageSet, type ImageSetOptions, imageSet, imageUrl } from './lib/access.ts'
export { type Config, readConfig } from './lib/config.ts'
export { type Code, MattingError } from './lib/errors.ts'
export { createInvocation, type Invocation, type InvocationOptions } from './lib/invocation.ts'
export { type Layout, plain } from './lib/layout.ts'
export { type Photo, type PresignedUpload, presignUpload, putPhoto as upload } from './lib/pay/pay.ts'
export {
  type Credentials,
  presign,
  type Signable,
  type Signed,
  type SigningKey,
  sign,
  signHeaders,
  signingKey,
} from './lib/sign.ts'
