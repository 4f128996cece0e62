/**
 * An esbuild plugin for the bundles. It leaves out what nobody calls there, a seventh, but no bundler can tell; and it makes the
 * XML parser wait until it is needed. `test/bundle.test.ts` compares what is left of the parser with the whole one.
 * @type {import('esbuild').Plugin}
 */
export const lean = {
  name: 'lean',
  setup({ onLoad, onResolve }) {
    /** @type {(filter: RegExp, contents: string) => void} */
    const replace = (filter, contents) => onLoad({ filter }, () => ({ contents }))
    // esbuild evaluates an imported module at the start, but a required one when it is first required.
    replace(
      /fast-xml-parser\/src\/fxp\.js$/,
      "export function XMLParser(options) { return new (require('./xmlparser/XMLParser.js').default)(options) }",
    )
    // `lib/answer.ts` does not ask the parser to validate, or to turn text into numbers.
    replace(/fast-xml-parser\/src\/validator\.js$/, 'export const validate = undefined')
    replace(/strnum\/strnum\.js$/, 'export default undefined')
    // It looks for attacks in the values of entities, of which we expand none.
    replace(/is-unsafe\/src\/index\.js$/, 'export const HTML = [], XML = [], isUnsafe = () => true')
    replace(
      /@nodable\/entities\/src\/index\.js$/,
      'export class EntityDecoder { reset() {} setXmlVersion() {} addInputEntities() {} decode(text) { return text } } export const XML = {}, CURRENCY = {}, COMMON_HTML = {}, ENTITY_ACTION = {}',
    )
    // Middy needs it only for answers in a stream, which we do not give; Node takes almost 2 ms to load it.
    onResolve({ filter: /^node:stream\/web$/ }, () => ({ path: 'stream-web', namespace: 'lean' }))
    onLoad({ filter: /^stream-web$/, namespace: 'lean' }, () => ({ contents: 'export class ReadableStream {}' }))
  },
}
