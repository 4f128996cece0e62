// An image loader for Next.js, `loaderFile` in its configuration: <Image src="uploads/mug.jpg" width={320} height={320} alt="A mug" />
const ORIGIN = 'https://img.example.com'
// The widths of the preset `card`; ACCESS=presets answers no others.
const WIDTHS = [160, 320, 640]

export default function load({ src, width }: { src: string; width: number }): string {
  const nearest = WIDTHS.find((offered) => offered >= width) ?? WIDTHS.at(-1)
  const key = src.split('/').map(encodeURIComponent).join('/')
  return `${ORIGIN}/card%2Cwidth%3D${nearest}/${key}`
}
