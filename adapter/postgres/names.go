package postgres

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxIdentifier is how many bytes of an identifier PostgreSQL keeps: NAMEDATALEN less its terminating zero.
const maxIdentifier = 63

// channelOf returns the channel of a namespace: key#namespace, or as much of it as PostgreSQL makes of the name that a
// Node.js node gives to LISTEN. (pg_notify refuses a longer one, so that Node.js nodes hear such a namespace and cannot
// publish in it.) Several namespaces may share a channel then, and so do those that differ only in what no name can have;
// messages say of which they are.
func channelOf(key, namespace string) string {
	name := strings.ToValidUTF8(key+"#"+namespace, replacement)
	name = strings.ReplaceAll(name, "\x00", replacement)
	if len(name) <= maxIdentifier {
		return name
	}
	end := maxIdentifier
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

const replacement = string(utf8.RuneError)

// maxKey leaves room for the name of a node behind it.
const maxKey = 40

func checkKey(key string) error {
	if len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return fmt.Errorf("postgres: %q cannot start the names of channels: it may have %d bytes, and be text", key, maxKey)
	}
	return nil
}

// quote makes an identifier of any name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// tableName is the name of a table as it stands in SQL, where the Node.js adapter puts it as it is: plain or quoted, with or
// without a schema.
var tableName = regexp.MustCompile(`^(?:` + identifier + `\.)?` + identifier + `$`)

const identifier = `(?:[\pL_][\pL\pN_$]*|"(?:[^"\x00]|"")+")`

func checkTable(name string) error {
	if !tableName.MatchString(name) || !utf8.ValidString(name) {
		return fmt.Errorf("postgres: %q is not the name of a table, as SQL has it", name)
	}
	return nil
}
