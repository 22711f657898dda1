// What a user sees and when, by the page's own clock. A plain script that the page runs once.
//
// Whatever is watched has a `look`, a number that changes with what is seen, and tells when it may
// have changed: only then is it looked at, in the animation frame that is the first to show it.
// The time is taken before looking, so that looking costs none.
window.cvwWatch ??= (() => {
    const PATIENCE = 60_000 // ms

    // -- animation frames --------------------------------------------------------------------
    let frame = 0
    let inFrame = false
    const request = window.requestAnimationFrame.bind(window)
    window.requestAnimationFrame = callback => request(time => {
        inFrame = true
        try { callback(time) } finally { inFrame = false }
    })
    // Asked for at the beginning of each frame, it comes first in the next.
    const count = () => { frame += 1; request(count) }
    request(count)

    // Calls back with the time and the number of the first frame to show what is drawn now.
    const shown = callback => {
        if (inFrame) callback(performance.now(), frame)
        else request(() => callback(performance.now(), frame))
    }

    // -- looks -------------------------------------------------------------------------------
    const hash = numbers => {
        let sum = 2166136261
        for (const number of numbers) sum = Math.imul(sum ^ number, 16777619)
        return sum >>> 0
    }
    const hashText = text => hash(Array.from(text, letter => letter.codePointAt(0)))
    const scratch = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })

    const pixels = element => {
        const width = element?.naturalWidth ?? element?.width
        const height = element?.naturalHeight ?? element?.height
        if (!width || !height) return null
        Object.assign(scratch.canvas, { width, height })
        scratch.drawImage(element, 0, 0)
        return hash(new Uint32Array(scratch.getImageData(0, 0, width, height).data.buffer))
    }
    const pictureOf = root => root.querySelector('img') ?? root.querySelector('canvas')

    // -- what tells of a change --------------------------------------------------------------
    const painted = new Set()
    for (const method of ['drawImage', 'putImageData']) {
        const paint = CanvasRenderingContext2D.prototype[method]
        CanvasRenderingContext2D.prototype[method] = function (...what) {
            paint.apply(this, what)
            for (const tell of painted) tell(this.canvas)
        }
    }
    const paintings = (root, tell) => {
        const heard = canvas => { if (canvas === pictureOf(root)) tell() }
        const loaded = ({ target }) => target.decode().then(tell, tell)
        painted.add(heard)
        root.addEventListener('load', loaded, true)
        return () => { painted.delete(heard); root.removeEventListener('load', loaded, true) }
    }
    const mutations = (root, tell) => {
        const observer = new MutationObserver(tell)
        observer.observe(root, {
            attributes: true, characterData: true, childList: true, subtree: true,
        })
        return () => observer.disconnect()
    }

    const kinds = {
        // An <img> whose source changes or that is replaced; without one, a <canvas>.
        picture: { look: root => pixels(pictureOf(root)), listen: paintings },
        bars: {
            look: root => hashText(root.querySelector('svg.svg-figure')?.innerHTML ?? ''),
            listen: mutations,
        },
        text: { look: root => hashText(root.textContent), listen: mutations },
    }

    // Settles with the time, the frame and the look of the first frame with another look.
    const change = (root, kind) => new Promise((done, failed) => {
        const { look, listen } = kinds[kind]
        const before = look(root)
        setTimeout(() => failed(new Error(`waited in vain for another ${kind}`)), PATIENCE)
        const stop = listen(root, () => shown((time, number) => {
            const now = look(root)
            if (now === null || now === before) return
            stop()
            done({ time, frame: number, look: now })
        }))
    })

    // -- for the benchmarks ------------------------------------------------------------------
    // Watches [root, kind] pairs from the next event of a type on: milliseconds and frames from
    // the event to the frame that shows the last of them changed, and the look of each. Without
    // a pair, to the next frame.
    const arm = (type, pairs) => {
        const changes = pairs.map(([root, kind]) => change(root, kind))
        const event = new Promise(done => {
            document.addEventListener(type, ({ timeStamp }) => {
                shown((time, number) => done({ happened: timeStamp, time, frame: number }))
            }, { capture: true, once: true })
        })
        api.result = Promise.all([event, ...changes]).then(([{ happened, ...first }, ...seen]) => {
            const last = pairs.length ? seen.reduce((a, b) => (a.time < b.time ? b : a)) : first
            return {
                milliseconds: last.time - happened,
                frames: last.frame - first.frame,
                looks: seen.map(each => each.look),
            }
        })
    }

    // Looks at a picture in every frame until it is told to end; [time, look] of every change.
    const film = root => {
        const taken = []
        let ended = false
        const take = () => {
            const time = performance.now()
            const look = pixels(pictureOf(root))
            if (look !== null && look !== taken.at(-1)?.[1]) taken.push([time, look])
            if (!ended) request(take)
        }
        request(take)
        api.cut = () => { ended = true; return taken }
    }

    // Waits for each of these pairs to look different from now.
    const watch = pairs => { api.result = Promise.all(pairs.map(([root, kind]) => change(root, kind))) }

    const api = { arm, film, watch, result: null, cut: null }
    return api
})()
