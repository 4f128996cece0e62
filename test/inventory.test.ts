import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUCKET } from '../local/cloud.ts'
import { onPorts, startTestCloud, type TestCloud } from './helpers/cloud.ts'
import { command, json } from './helpers/running.ts'
import { photoOf, trivial } from './helpers/trivial.ts'

const KEYS = ['uploads/a b.jpg', 'uploads/+.jpg', 'uploads/100%.jpg', 'uploads/图,"1".jpg', 'uploads/sub/x.jpg']

describe('backfill --inventory', () => {
  let cloud: TestCloud
  let port = 0
  let dir = ''
  beforeAll(async () => {
    cloud = await onPorts((free) => {
      port = free
      return startTestCloud({ port: free, matte: trivial, instances: 2 })
    })
    cloud.faults.set([{ on: 'Event', kind: 'drop' }])
    for (const key of KEYS) await cloud.bucket.put(key, await photoOf(key), { type: 'image/jpeg' })
    dir = await mkdtemp(join(tmpdir(), 'inventory-'))
  })
  afterAll(async () => {
    await cloud.close()
    await rm(dir, { recursive: true, force: true })
  })

  const manifestOf = (rows: string, more: object = {}, gzip = true) => {
    const bytes = gzip ? gzipSync(rows) : Buffer.from(rows)
    const md5Checksum = createHash('md5').update(bytes).digest('hex')
    const key = `inventory/1250000000/photos/list1/${md5Checksum}.csv${gzip ? '.gz' : ''}`
    const manifest = {
      sourceAppid: '1250000000',
      sourceBucket: 'photos',
      destinationAppid: '1250000000',
      destinationBucket: 'photos',
      fileFormat: 'CSV',
      listObjectCount: '5',
      fileSchema: 'Appid, Bucket, Key, Size, LastModifiedDate, ETag, StorageClass',
      files: [{ key, size: String(bytes.length), md5Checksum }],
      ...more,
    }
    return { bytes, key, manifest }
  }
  const row = (key: string, size = '900', etag = '"0"') =>
    `1250000000,photos,${encodeURIComponent(key)},${size},2026-01-01T00:00:00.000Z,${etag},Standard\n`
  const plan = (place: string, ...args: string[]) => json(port, 'backfill', 'plan', '--inventory', place, ...args)

  it('reads a gzipped list in the bucket, and a plain one beside its manifest', async () => {
    const rows = [...KEYS, 'uploads/gone.jpg', 'cutouts/x.txt'].map((key) => row(key)).join('')
    const inBucket = manifestOf(rows)
    await cloud.bucket.put(inBucket.key, inBucket.bytes, { type: 'application/gzip' })
    await cloud.bucket.put('inventory/manifest.json', JSON.stringify(inBucket.manifest), { type: 'application/json' })
    const expected = {
      objects: 7,
      calls: 5,
      reasons: { 'not in a source folder': 1, 'not there any more': 1 },
    }
    expect(await plan('inventory/manifest.json')).toMatchObject(expected)
    const beside = manifestOf(rows, { sourceBucket: BUCKET }, false)
    await writeFile(join(dir, beside.key.slice(beside.key.lastIndexOf('/') + 1)), beside.bytes)
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(beside.manifest))
    expect(await plan(join(dir, 'manifest.json'))).toMatchObject(expected)
    expect(await plan(join(dir, 'manifest.json'), '--folder', 'uploads/sub')).toMatchObject({ objects: 1, calls: 1 })
  })

  it('reads blanks that are written as +, leaves out what is no current version, and works without ETags', async () => {
    const rows =
      'uploads/a+b.jpg,true,false\nuploads/%2B.jpg,true,false\nuploads/100%25.jpg,false,false\nuploads/x.jpg,true,true\n'
    const { bytes, key, manifest } = manifestOf(rows, { fileSchema: 'Key, IsLatest, IsDeleteMarker' })
    await writeFile(join(dir, key.slice(key.lastIndexOf('/') + 1)), bytes)
    await writeFile(join(dir, 'versions.json'), JSON.stringify(manifest))
    expect(await plan(join(dir, 'versions.json'))).toMatchObject({ objects: 2, calls: 2, reasons: {} })
    const run = [
      'backfill',
      'run',
      '--inventory',
      join(dir, 'versions.json'),
      '--failures',
      join(dir, 'f'),
      '--qps',
      '99',
    ]
    expect(await json(port, ...run)).toMatchObject({ code: 0, paid: 2 })
    expect(
      cloud.cos
        .bill()
        .map(({ source }) => source)
        .sort(),
    ).toEqual(['uploads/+.jpg', 'uploads/a b.jpg'])
  })

  it('is refused in one line if bucket, schema, format, MD5 or rows are wrong, before anything is done', async () => {
    const good = manifestOf(row(KEYS[0] ?? ''))
    const broken = manifestOf('1250000000,photos,only-three\n')
    const cases: [string, object, string][] = [
      ['it is about the bucket other-1250000000', { ...good.manifest, sourceBucket: 'other' }, ''],
      ['its fileSchema has no column Key', { ...good.manifest, fileSchema: 'Appid, Bucket' }, ''],
      ['its format is ORC, expected CSV', { ...good.manifest, fileFormat: 'ORC' }, ''],
      ['it names no files', { ...good.manifest, files: [] }, ''],
      ['the MD5 of', { ...good.manifest, files: [{ key: good.key, md5Checksum: '0'.repeat(32) }] }, good.key],
      ['cannot be read', broken.manifest, broken.key],
    ]
    for (const [said, manifest, key] of cases) {
      const bytes = key === broken.key ? broken.bytes : good.bytes
      if (key) await writeFile(join(dir, key.slice(key.lastIndexOf('/') + 1)), bytes)
      const file = join(dir, 'bad.json')
      await writeFile(file, JSON.stringify(manifest))
      const { code, err, out } = await command(port, 'backfill', 'plan', '--inventory', file)
      expect(err).toContain(said)
      expect(err.split('\n')).toHaveLength(1)
      expect({ code, out }).toEqual({ code: 2, out: '' })
    }
    const missing = await command(port, 'backfill', 'plan', '--inventory', 'nowhere/manifest.json')
    expect(missing.err).toContain('there is no such file, and in the bucket')
    expect(missing.code).toBe(2)
  })
})
