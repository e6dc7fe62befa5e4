package page

import "strings"

// Replace puts a section, which begins with its heading of level two, in the place of the one with the same heading, or
// behind all others.
func Replace(document, section string) string {
	heading, _, _ := strings.Cut(section, "\n")
	begin, end, ok := find(document, heading)
	if !ok {
		return strings.TrimRight(document, "\n") + "\n\n" + strings.TrimRight(section, "\n") + "\n"
	}
	rest := document[end:]
	section = strings.TrimRight(section, "\n") + "\n"
	if rest != "" {
		section += "\n"
	}
	return document[:begin] + section + rest
}

// Section returns the section of a document with a heading such as "## Title", which it begins with, or "" if there is
// none.
func Section(document, heading string) string {
	begin, end, ok := find(document, heading)
	if !ok {
		return ""
	}
	return strings.TrimRight(document[begin:end], "\n") + "\n"
}

// find returns where a section begins and where the next one does.
func find(document, heading string) (begin, end int, ok bool) {
	begin = strings.Index("\n"+document, "\n"+heading+"\n")
	if begin < 0 {
		return 0, 0, false
	}
	if next := strings.Index(document[begin+len(heading):], "\n## "); next >= 0 {
		return begin, begin + len(heading) + next + 1, true
	}
	return begin, len(document), true
}
