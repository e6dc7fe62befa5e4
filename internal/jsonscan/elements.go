package jsonscan

import "errors"

// The errors of [AppendElements].
var (
	errNoArray   = errors.New("not an array")
	errBehind    = errors.New("data behind the array")
	errNotJSON   = errors.New("not JSON, or nested too deeply")
	errUnclosed  = errors.New("array without an end")
	errSeparator = errors.New("not JSON")
)

// AppendElements validates data as a JSON array and appends its elements, as they stand there without the white space
// around them, to dst. They are parts of data, not copies. On error it returns dst as it was.
func AppendElements(dst [][]byte, data []byte) ([][]byte, error) {
	i := Space(data, 0)
	if i >= len(data) || data[i] != '[' {
		return dst, errNoArray
	}
	out := dst
	i = Space(data, i+1)
	if i < len(data) && data[i] == ']' {
		if Space(data, i+1) != len(data) {
			return dst, errBehind
		}
		return out, nil
	}
	for {
		end := Value(data, i, 1)
		if end < 0 {
			return dst, errNotJSON
		}
		out = append(out, data[i:end:end])
		i = Space(data, end)
		if i >= len(data) {
			return dst, errUnclosed
		}
		switch data[i] {
		case ',':
			i = Space(data, i+1)
		case ']':
			if Space(data, i+1) != len(data) {
				return dst, errBehind
			}
			return out, nil
		default:
			return dst, errSeparator
		}
	}
}

// First returns the first element of an array of valid JSON and the index behind it in data. It is nil for an empty
// array.
func First(data []byte) (element []byte, end int) {
	start := Space(data, Space(data, 0)+1)
	if data[start] == ']' {
		return nil, start
	}
	end = Value(data, start, 1)
	return data[start:end:end], end
}
