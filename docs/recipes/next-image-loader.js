// An image loader for Next.js (loaderFile in next.config.js): <Image src="uploads/mug.jpg" width={320} height={320} alt="A mug" />
// The widths are those of the preset `card`; ACCESS=presets answers no others.
const ORIGIN = process.env.NEXT_PUBLIC_IMAGE_URL
const WIDTHS = [160, 320, 640]

export default function load({ src, width }) {
  const nearest = WIDTHS.find((offered) => offered >= width) ?? WIDTHS.at(-1)
  const key = src.split('/').map(encodeURIComponent).join('/')
  return `${ORIGIN}/card%2Cwidth%3D${nearest}/${key}`
}
