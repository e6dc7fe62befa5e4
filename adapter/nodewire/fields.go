package nodewire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/peal-dev/peal/internal/jsonscan"
)

var errJSON = fmt.Errorf("%w: JSON", ErrSyntax)

// members calls read with each key of the object at text[i] and the index of its value. Read returns the index behind
// the value, members that behind the object.
func members(text []byte, i int, read func(key string, i int) (int, error)) (end int, err error) {
	if i >= len(text) || text[i] != '{' {
		return i, fmt.Errorf("%w: no object", ErrForm)
	}
	if i = jsonscan.Space(text, i+1); i < len(text) && text[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(text) || text[i] != '"' {
			return i, errJSON
		}
		behind := jsonscan.String(text, i)
		if behind < 0 {
			return i, errJSON
		}
		key, _ := jsonscan.Unquote(text[i:behind])
		if i = jsonscan.Space(text, behind); i >= len(text) || text[i] != ':' {
			return i, errJSON
		}
		if i, err = read(key, jsonscan.Space(text, i+1)); err != nil {
			return i, fmt.Errorf("%.32q: %w", key, err)
		}
		if i = jsonscan.Space(text, i); i >= len(text) {
			return i, errJSON
		}
		switch text[i] {
		case ',':
			i = jsonscan.Space(text, i+1)
		case '}':
			return i + 1, nil
		default:
			return i, errJSON
		}
	}
}

// skip returns the index behind the value at text[i].
func skip(text []byte, i int) (end int, err error) {
	if end = jsonscan.Value(text, i, 0); end < 0 {
		return i, errJSON
	}
	return end, nil
}

// str reads a string.
func str(s *string, text []byte, i int) (end int, err error) {
	if end, err = skip(text, i); err != nil {
		return end, err
	}
	value, ok := jsonscan.Unquote(text[i:end])
	if !ok && string(text[i:end]) != "null" {
		return end, fmt.Errorf("%w: no string", ErrForm)
	}
	*s = value
	return end, nil
}

// flag reads true or false; anything else is false.
func flag(b *bool, text []byte, i int) (end int, err error) {
	if end, err = skip(text, i); err == nil {
		*b = string(text[i:end]) == "true"
	}
	return end, err
}

func number(text []byte, i int) (n float64, end int, err error) {
	if end, err = skip(text, i); err != nil {
		return 0, end, err
	}
	if n, err = strconv.ParseFloat(string(text[i:end]), 64); err != nil {
		return 0, end, fmt.Errorf("%w: no number", ErrForm)
	}
	return n, end, nil
}

// count reads a whole number above 0 that JavaScript could. Anything else is as if it was not there.
func count(c *uint64, text []byte, i int) (end int, err error) {
	n, end, err := number(text, i)
	if err == nil && n > 0 && n < 1<<53 {
		*c = uint64(n)
	}
	return end, err
}

// maxTimeout bounds what others ask for, far beyond anything that makes sense.
const maxTimeout = 24 * time.Hour

// duration reads milliseconds. What is no number of them is as if it was not there.
func duration(d *time.Duration, text []byte, i int) (end int, err error) {
	n, end, err := number(text, i)
	if err == nil && n > 0 {
		*d = time.Duration(min(n, float64(maxTimeout/time.Millisecond)) * float64(time.Millisecond))
	}
	if errors.Is(err, ErrForm) {
		err = nil
	}
	return end, err
}

// elements reads an array, of which the elements stay as they are. Null is an empty one.
func elements(list *[][]byte, text []byte, i int) (end int, err error) {
	if end, err = skip(text, i); err != nil || string(text[i:end]) == "null" {
		return end, err
	}
	if *list, err = jsonscan.AppendElements(nil, text[i:end]); err != nil {
		return end, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return end, nil
}

// texts reads an array of names, which to JavaScript may be numbers.
func texts(list *[]string, text []byte, i int) (end int, err error) {
	var raw [][]byte
	if end, err = elements(&raw, text, i); err != nil {
		return end, err
	}
	*list = make([]string, len(raw))
	for i, r := range raw {
		name, ok := jsonscan.Unquote(r)
		switch {
		case ok:
		case bytes.IndexByte([]byte("-0123456789"), r[0]) >= 0:
			name = string(r)
		default:
			return end, fmt.Errorf("%w: neither a name nor a number", ErrForm)
		}
		(*list)[i] = name
	}
	return end, nil
}

// TypeOf returns the type of a message that is not decoded yet, if it stands first in it, as nodes write it, and 0 if not.
func TypeOf(b []byte) Type {
	const text, packed = `{"type":`, "\xa4type"
	switch {
	case bytes.HasPrefix(b, []byte(text)):
		n := 0
		for i := len(text); i < len(b) && b[i] >= '0' && b[i] <= '9' && n <= math.MaxUint8; i++ {
			n = 10*n + int(b[i]-'0')
		}
		if n <= math.MaxUint8 {
			return Type(n)
		}
	case len(b) > 1+len(packed) && b[0]&0xf0 == 0x80 && string(b[1:1+len(packed)]) == packed && b[1+len(packed)] < 0x80:
		return Type(b[1+len(packed)])
	}
	return 0
}
