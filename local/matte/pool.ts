import { Worker } from 'node:worker_threads'

/** Threads that do one task at a time each. `Task` and `Result` must survive a structured clone. */
export interface Pool<Task, Result, Stage> {
  /**
   * Waits for a free thread. Rejects if the thread dies during the task or the pool is closed. `tell` is told what the thread
   * says of its progress.
   */
  run(task: Task, tell?: (stage: Stage) => void): Promise<Result>
  close(): Promise<void>
}

interface Job<Task, Result, Stage> {
  task: Task
  tell: ((stage: Stage) => void) | undefined
  resolve(result: Result): void
  reject(error: Error): void
}

/**
 * @param script a JavaScript module that answers each message with exactly one message; before it may come some of the form
 * `{ stage }`
 * @param workerData what each thread begins with
 */
export function createPool<Task, Result, Stage = never>(
  script: URL,
  size: number,
  workerData?: unknown,
): Pool<Task, Result, Stage> {
  const queue: Job<Task, Result, Stage>[] = []
  const idle: Worker[] = []
  const busy = new Map<Worker, Job<Task, Result, Stage>>()
  const all = new Set<Worker>()
  let closed = false

  function start(): void {
    const worker = new Worker(script, { execArgv: [], workerData })
    all.add(worker)
    idle.push(worker)
    // An idle pool must not keep the process alive. unref() has no effect before the worker is online.
    worker.once('online', () => {
      if (!busy.has(worker)) worker.unref()
    })
    worker.on('message', (result: Result | { stage: Stage }) => {
      const job = busy.get(worker)
      if (typeof result === 'object' && result !== null && 'stage' in result) return job?.tell?.(result.stage)
      busy.delete(worker)
      worker.unref()
      idle.push(worker)
      job?.resolve(result)
      next()
    })
    let cause: Error | undefined
    worker.on('error', (error: Error) => {
      cause = error
    })
    worker.on('exit', () => {
      all.delete(worker)
      const job = busy.get(worker)
      busy.delete(worker)
      const at = idle.indexOf(worker)
      if (at >= 0) idle.splice(at, 1)
      job?.reject(new Error('worker died', { cause }))
      if (!closed && queue.length > 0) next()
    })
  }

  function next(): void {
    if (idle.length === 0 && all.size < size && queue.length > 0) start()
    const worker = queue.length > 0 ? idle.pop() : undefined
    const job = worker && queue.shift()
    if (!worker || !job) return
    busy.set(worker, job)
    worker.ref()
    worker.postMessage(job.task)
  }

  // One thread starts before there is work, because loading the module takes longer than many a job. The others start on
  // demand.
  start()

  return {
    run: (task, tell) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('closed'))
        queue.push({ task, tell, resolve, reject })
        next()
      }),
    async close() {
      closed = true
      for (const job of queue.splice(0)) job.reject(new Error('closed'))
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}
