import type { Reason } from '../../lib/reason.ts'
import type { StoryText } from './english-story.ts'
import { kilobytes } from './size.ts'
import type { StoryFacts } from './wire.ts'

export const chineseStory: StoryText = {
  reason,
  uploaded: ({ size, type }) => `存储桶里有 ${kilobytes(size)}，类型为 ${type || '（无）'}。`,
  'given-up': ({ count, message, code }) => `投递 ${count} 次后放弃，存为死信：${code ? failureOf(code) : message}`,
  'comes-again': ({ count }) => `投递 ${count} 次均未成功，会再次投递。`,
  'at-work': ({ function: name }) => `已投递给 ${name}，正在处理。`,
  'on-its-way': () => '正在送往函数。',
  'no-trigger': () => '没有触发器把这个文件夹里的新照片交给函数。',
  'no-event': () => '本地云没有事件记录：它被丢弃了，或者在上次启动之前就来过。',
  delivered: ({ function: name, count }) => `已投递给 ${name}，共 ${count} 次。`,
  'not-looked': () => '本地云没有查看这张照片的运行记录。',
  skipped: ({ why, ...run }) => `${where(run)}跳过了它：${skips[why] ?? why}。`,
  looking: (run) => `${where(run)}正在处理。`,
  'broke-off': ({ outcome, code, ...run }) =>
    `${where(run)}中断了：${code ? failureOf(code) : (outcomes[outcome] ?? outcome)}。`,
  looked: (run) => `${where(run)}查看了它。`,
  unclaimed: () => '最近一天没有人认领付费的权利。',
  released: ({ asker, code }) => `为${askers[asker] ?? asker}认领，又放弃：${failureOf(code)}。`,
  claimed: ({ askers: who, cutouts, again }) =>
    `为${who.map((asker) => askers[asker] ?? asker).join('和')}认领，共 ${cutouts} 张抠图${again > 0 ? `；重新认领 ${again} 次` : ''}。`,
  paid: ({ count, method, outcome, lost }) =>
    `付费 ${count} 次，最后一次用方法${methods[method]}（${bills[outcome] ?? outcome}）${lost > 0 ? `；其中 ${lost} 次没有收到回答` : ''}。`,
  'not-paid': ({ code }) => `没有付费：${failureOf(code)}。`,
  'not-billed': () => '账单里没有这些抠图。',
  unpaid: () => '没有付费。',
  stored: ({ cutouts }) => `已有：${list(cutouts)}。`,
  'stored-some': ({ cutouts, missing }) => `已有：${list(cutouts)}。还缺：${missing.join('、')}。`,
  blank: ({ count }) => `做出来的 ${count} 张是空白的：没有找到商品。`,
  'not-stored': ({ code }) => `没有抠图：${failureOf(code)}。`,
  'not-stored-yet': () => '还没有抠图。',
  'nobody-told': () => '不通知任何人：没有设置 EVENTS_URL。',
  'not-taken': () => '接收方没有收下通知。',
  'not-announced': () => '还没有通知。',
  'not-chosen': ({ type }) => `EVENTS 里没有 ${type}。`,
  announced: ({ type }) => `接收方收下了 ${type}。`,
  'not-shown': () => '本地云启动以来还没有人取过抠图。',
  shown: ({ count }) => `抠图被取过 ${count} 次。`,
}

function reason(given: Reason): string {
  switch (given.code) {
    case 'there':
      return `上传时要做的都有了：${given.layouts.join('、')}。`
    case 'no-photo':
      return `${given.bucket} 里没有这张照片。${given.former ? '以前照片的抠图还在。' : ''}`
    case 'skipped':
      return `它没有抠图：${skips[given.why] ?? given.why}。`
    case 'no-preset':
      return `它没有抠图：它的元数据指定了不存在的预设 ${given.named}。现有的预设是 ${given.presets.join('、')}。`
    case 'refused':
      return `它没有抠图：${failureOf(given.error)}。`
    case 'held':
      return `正在制作（${given.layouts.join('、')}）：付费的权利已为${askers[given.asker] ?? given.asker}认领，到 ${given.until} 为止。到时再看；若仍没有，下一个事件或请求会再次认领。`
    case 'given-up':
      return `它没有抠图，因为事件被放弃了：${given.message} 排除原因后，\`replay\` 会再次投递。`
    case 'waiting':
      return '它还没有抠图：事件正在等待，或正在处理。'
    case 'tried':
      return `它没有抠图：上一次尝试（${given.at}，为${askers[given.asker] ?? given.asker}）什么也没做出来${given.failure ? `（${failureOf(given.failure)}）` : ''}。下一个事件或请求会再做；\`backfill run\` 一次补齐。`
    case 'untried': {
      const trigger = given.hasTrigger === false ? '，也没有触发器把这个文件夹里的新照片交给函数' : ''
      const advice = given.hasTrigger === false ? '`deploy` 会建立触发器' : '`doctor` 会检查触发器'
      return `它没有抠图（${given.layouts.join('、')}）：最近一天没有事件，也没有人请求它的图片 URL${trigger}。${given.former ? '被它替换的照片还有抠图。' : ''}${advice}；\`backfill run\` 为已有的照片补做。`
    }
  }
}

const askers: Readonly<Record<string, string>> = {
  trigger: '触发器',
  url: '图片 URL',
  upload: '上传',
  presigned: '预签名上传',
}
const methods = { one: '一', two: '二', three: '三' } as const
/** How a paid call ended. */
const bills: Readonly<Record<string, string>> = {
  stored: '已存储',
  returned: '已返回',
  lost: '回答丢失',
  dropped: '结果丢失',
}
const outcomes: Readonly<Record<string, string>> = { error: '出错', timeout: '超时', crash: '崩溃' }
/** Why the upload function skips a photo. */
const skips: Readonly<Record<string, string>> = {
  'off by its metadata': '它的元数据关闭了抠图',
  'no layouts for its folder': 'ON_UPLOAD 没有为它的文件夹指定版式',
}
/** Those codes of lib/errors.ts that are about a photo, a layout, an order, an account or a moment. */
export const failures: Readonly<Record<string, string>> = {
  'bad-layout': '没有这个版式',
  'too-large': '照片太大，无法抠图',
  'not-an-image': '照片无法当作图片读取',
  'no-product': '照片里没有找到商品',
  refused: '厂商不抠这张照片',
  'limit-reached': '今天的付费调用已用完，请明天再试',
  'changing-too-fast': '这张照片变得太频繁，请一分钟后再试',
  denied: '厂商拒绝了调用：权限、开通或账户',
  misconfigured: '配置有误',
  internal: '这里出了问题',
  unavailable: '存储没有回答，请重试',
  busy: '厂商要求减少请求，请重试',
  changed: '照片在此期间变了，请重试',
  pending: '抠图正在制作，请重试',
  'unknown-outcome': '还不知道抠图调用的结果，请重试',
  unannounced: '通知未能送达，请重试',
  timeout: '时间不够，请重试',
}

function failureOf(code: string): string {
  return failures[code] ?? code
}

function where({ instance, cold }: { instance: number; cold: boolean }): string {
  return `实例 ${instance}（${cold ? '冷启动' : '热启动'}）`
}

function list(cutouts: StoryFacts['stored']['cutouts']): string {
  return cutouts.map(({ text, size }) => `${text}（${kilobytes(size)}）`).join('、')
}
