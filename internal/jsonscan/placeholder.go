package jsonscan

import (
	"bytes"
	"errors"
	"strconv"
)

// AppendPlaceholder appends the object that stands for attachment num in a payload.
func AppendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}

// Placeholder returns the number in the placeholder that stands at data[i], a brace, and the index behind it; end is -1
// if something else stands there. A placeholder is an object of just the two members that encoders write, in either
// order. Where there are attachments, [CheckPlaceholders] refuses everything else that a client could take for one.
func Placeholder(data []byte, i int) (num, end int) {
	i = Space(data, i+1)
	marked, num := false, -1
	for {
		switch {
		case !marked && hasPrefix(data, i, `"_placeholder"`):
			if i = colon(data, i+len(`"_placeholder"`)); !hasPrefix(data, i, "true") {
				return 0, -1
			}
			marked = true
			i += len("true")
		case num < 0 && hasPrefix(data, i, `"num"`):
			i = colon(data, i+len(`"num"`))
			digits := i
			i = Digits(data, digits)
			// Nine digits are more attachments than any packet has.
			if i == digits || i-digits > 9 {
				return 0, -1
			}
			num = 0
			for _, c := range data[digits:i] {
				num = num*10 + int(c-'0')
			}
		default:
			return 0, -1
		}
		i = Space(data, i)
		switch {
		case marked && num >= 0 && hasPrefix(data, i, "}"):
			return num, i + 1
		case marked && num >= 0 || !hasPrefix(data, i, ","):
			return 0, -1
		}
		i = Space(data, i+1)
	}
}

func hasPrefix(data []byte, i int, s string) bool {
	return len(data)-i >= len(s) && string(data[i:i+len(s)]) == s
}

// colon returns the index of the value that follows a key ending before i, or len(data).
func colon(data []byte, i int) int {
	if i = Space(data, i); !hasPrefix(data, i, ":") {
		return len(data)
	}
	return Space(data, i+1)
}

// NextPlaceholder finds the first placeholder at or behind i, which must not be inside a string: 0, or the end of the
// placeholder before. start is -1 if there is none. It accepts any bytes.
func NextPlaceholder(data []byte, i int) (start, end, num int) {
	for i >= 0 && i < len(data) {
		switch data[i] {
		case '"':
			i = String(data, i)
			continue
		case '{':
			if num, end := Placeholder(data, i); end > 0 {
				return i, end, num
			}
		}
		i++
	}
	return -1, len(data), 0
}

// The errors of [CheckPlaceholders].
var (
	errAmbiguous = errors.New("an object beside attachments looks like a placeholder")
	errRange     = errors.New("placeholder out of range")
	errTwice     = errors.New("two placeholders for one attachment")
	errUnnamed   = errors.New("attachment without a placeholder")
)

// CheckPlaceholders returns an error unless the placeholders in data, which is valid JSON, name each of count attachments
// exactly once. An object that official clients would take for a placeholder, because its _placeholder is true, must be
// one in full.
func CheckPlaceholders(data []byte, count int) error {
	w := placeholderWalk{data: data, count: count}
	if count > 64 {
		w.seenMany = make([]bool, count)
	}
	if len(data) > 0 {
		w.value(Space(data, 0))
	}
	if w.err == nil && w.found < count {
		w.err = errUnnamed
	}
	return w.err
}

type placeholderWalk struct {
	data     []byte
	count    int
	seen     uint64 // a bit for each attachment
	seenMany []bool // instead, for more than 64
	found    int
	err      error
}

// value walks the value at i and returns the index behind it.
func (w *placeholderWalk) value(i int) int {
	switch w.data[i] {
	case '{':
		return w.object(i)
	case '[':
		for i = Space(w.data, i+1); w.data[i] != ']'; {
			if i = Space(w.data, w.value(i)); w.data[i] == ',' {
				i = Space(w.data, i+1)
			}
		}
		return i + 1
	}
	return Value(w.data, i, 0)
}

func (w *placeholderWalk) object(i int) int {
	if num, end := Placeholder(w.data, i); end > 0 {
		w.name(num)
		return end
	}
	like := false
	for i = Space(w.data, i+1); w.data[i] != '}'; {
		end := String(w.data, i)
		key := w.data[i:end]
		start := colon(w.data, end)
		end = w.value(start)
		if isMark(key) {
			like = string(w.data[start:end]) == "true"
		}
		if i = Space(w.data, end); w.data[i] == ',' {
			i = Space(w.data, i+1)
		}
	}
	if like {
		w.fail(errAmbiguous)
	}
	return i + 1
}

func (w *placeholderWalk) name(num int) {
	if num >= w.count {
		w.fail(errRange)
		return
	}
	twice := false
	if w.seenMany != nil {
		twice, w.seenMany[num] = w.seenMany[num], true
	} else {
		bit := uint64(1) << num
		twice, w.seen = w.seen&bit != 0, w.seen|bit
	}
	if twice {
		w.fail(errTwice)
		return
	}
	w.found++
}

func (w *placeholderWalk) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// isMark reports whether a key is _placeholder, in whatever way it is written.
func isMark(literal []byte) bool {
	const mark = "_placeholder"
	if len(literal) == len(mark)+2 {
		return string(literal[1:len(literal)-1]) == mark
	}
	return bytes.IndexByte(literal, '\\') >= 0 && string(AppendUnquoted(nil, literal)) == mark
}
