/** Why a picture was refused; `code` is the vendor's word for it. */
export class ImageError extends Error {
  readonly code: 'InvalidImageFormat' | 'ImageResolutionExceed' | 'ImageTooLarge'

  constructor(code: ImageError['code'], message: string) {
    super(message)
    this.name = 'ImageError'
    this.code = code
  }
}
