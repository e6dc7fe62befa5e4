package sioproto

import (
	"bytes"
	"strconv"
)

const (
	placeholderKey = "_placeholder"
	numKey         = "num"
)

func appendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}

// checkPlaceholders returns an error when a placeholder anywhere in the valid JSON data refers to none of count
// attachments.
func checkPlaceholders(data []byte, count int) error {
	if len(data) == 0 {
		return nil
	}
	w := placeholderWalk{data: data, count: count}
	w.value(skipSpace(data, 0))
	return w.err
}

type placeholderWalk struct {
	data  []byte
	count int
	err   error
}

// value walks the value at i and returns the index behind it. The data is known to be valid.
func (w *placeholderWalk) value(i int) int {
	switch w.data[i] {
	case '{':
		return w.object(i)
	case '[':
		for i = skipSpace(w.data, i+1); w.data[i] != ']'; {
			if i = skipSpace(w.data, w.value(i)); w.data[i] == ',' {
				i = skipSpace(w.data, i+1)
			}
		}
		return i + 1
	}
	return skipValue(w.data, i, 0)
}

func (w *placeholderWalk) object(i int) int {
	var num []byte
	is := false
	for i = skipSpace(w.data, i+1); w.data[i] != '}'; {
		end := skipString(w.data, i)
		key := w.data[i:end]
		start := skipSpace(w.data, skipSpace(w.data, end)+1)
		end = w.value(start)
		switch {
		case keyIs(key, placeholderKey):
			is = string(w.data[start:end]) == "true"
		case keyIs(key, numKey):
			num = w.data[start:end]
		}
		if i = skipSpace(w.data, end); w.data[i] == ',' {
			i = skipSpace(w.data, i+1)
		}
	}
	if is {
		if _, err := attachmentIndex(num, w.count); err != nil && w.err == nil {
			w.err = err
		}
	}
	return i + 1
}

func keyIs(raw []byte, key string) bool {
	if len(raw) == len(key)+2 {
		return string(raw[1:len(raw)-1]) == key
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return false
	}
	text, err := unquote(raw)
	return err == nil && text == key
}

// attachmentIndex returns the index that the raw JSON value num stands for. Only plain digits are an index: the
// reference takes 0.5 and delivers undefined.
func attachmentIndex(num []byte, count int) (int, error) {
	if len(num) == 0 || skipDigits(num, 0) != len(num) {
		return 0, &Error{Kind: IllegalAttachments, Detail: "placeholder without an integer"}
	}
	n, err := strconv.Atoi(string(num))
	if err != nil || n >= count {
		return 0, &Error{Kind: IllegalAttachments, Detail: "placeholder out of range"}
	}
	return n, nil
}
