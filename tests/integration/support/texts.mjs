// SPDX-License-Identifier: Apache-2.0
// Random and hostile texts, the same for the same seed.

const ALPHABETS = [
    [..."abcdefghijklmnopqrstuvwxyz"],
    [..."etaoin shrdlu ETAOIN'"],
    [..."ABCDEFGHabcdefgh"],
    [" ", "  ", "\t", "\n", "\r", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\ufeff", "a", "1", "!"],
    ["'s", "'S", "'ſ", "'t", "'re", "'RE", "'Ve", "'ll", "'lL", "'m", "'D", "'", "a", "A", " ", "é", "'x", "1"],
    [..."0123456789", "٣", "Ⅷ", "½", "௧", " ", ".", ",", "a"],
    [..."()[]{}<>/\\|!?.,;:-_=+*&^%$#@~`\"'", "\n", "/", " "],
    ["\u0301", "\u0308", "\u20dd", "\u093f", "\ufe0f", "a", "A", "क", "!", " ", "é", "Ω"],
    ["ǅ", "ʰ", "ª", "א", "ß", "Σ", "ς", "Ж", "ж", "漢", "A", "a", "\u0301", " ", "'s"],
    [..."的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"],
    [..."あいうえおカキクケコ日本語、。ー", " "],
    [..."가나다라마바사아자차카타파하", " ", "."],
    ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "❤️", "🏳️‍🌈", " ", "a"],
    [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"],
    ["function ", "return", "{\n", "    ", "}\n", "();", "=> ", "const x", " = ", "//", "/*", "*/", "\t\t", "camelCase", "HTTPServer", "snake_case"],
    ["<|endoftext|>", "<|", "|>", "<|im_start|>", "\0", "\x01", "\x7f", "\0\0", "ab", " "],
    ["the ", "The", " and", "ing", "tion", "http", "://", "www.", ".com", "JSON", "é", "ü", "ñ", "\n\n"],
];

export class Text {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    /** mulberry32: uniform in [0, n). */
    below(n) {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) % n;
    }

    pick(list) {
        return list[this.below(list.length)];
    }

    /** Any code point but half a surrogate pair. */
    point() {
        const point = this.below(this.pick([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000]));
        return point >= 0xd800 && point < 0xe000 ? "\ufffd" : String.fromCodePoint(point);
    }

    /** Of one alphabet, of all of them, of any code points, or with long runs. */
    text() {
        const alphabet = this.pick(ALPHABETS);
        const kind = this.below(10);
        const length = this.pick([3, 8, 20, 60, 200]);
        let text = "";
        for (let i = 0; i < length; i++) {
            const one =
                kind < 5
                    ? this.pick(alphabet)
                    : kind < 8
                      ? this.pick(this.pick(ALPHABETS))
                      : this.point();
            text += kind === 7 && this.below(10) === 0 ? one.repeat(this.below(60)) : one;
        }
        return text;
    }
}

export function randomTexts(seed, count) {
    const text = new Text(seed);
    return Array.from({ length: count }, () => text.text());
}
