package engineio

import (
	"net/url"
	"strings"
)

// query is the query of a request, which is not worth a map for the few values that are looked for.
type query string

// last returns the last value of a parameter, as the reference does with repeated ones; "" if there is none.
func (q query) last(name string) string {
	value, _ := q.find(name)
	return value
}

// has reports whether there is a parameter of that name.
func (q query) has(name string) bool {
	_, ok := q.find(name)
	return ok
}

// find reads what [url.ParseQuery] would: pairs with a semicolon or a wrong escape do not count.
func (q query) find(name string) (value string, ok bool) {
	for rest := string(q); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" || strings.Contains(pair, ";") {
			continue
		}
		key, val, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil || key != name {
			continue
		}
		if val, err = url.QueryUnescape(val); err == nil {
			value, ok = val, true
		}
	}
	return value, ok
}
