package sandbox

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Observer is given what programs do that their policy denies, or would deny. Its methods
// are called by several goroutines, and a program waits while Denied runs.
type Observer interface {
	// Denied receives an access, once in a process for a path and a kind.
	Denied(Denial)
	// Blind receives why nothing is observed, or nothing any more.
	Blind(reason string)
}

// Kinds of access.
const (
	accessRead     = "read"
	accessExecute  = "execute"
	accessWrite    = "write"
	accessMake     = "make"
	accessRemove   = "remove"
	accessMove     = "move"
	accessConnect  = "connect"
	accessCall     = "call of the kernel"
	accessGreater  = "execute with the privileges of its owner"
	accessAbstract = "connect to an abstract socket"
)

// Keys of sandbox in an entry of the configuration.
const (
	keyRead    = "read"
	keyWrite   = "write"
	keyConnect = "connect"
)

// Denial is one access that is denied, or would be.
type Denial struct {
	// Access is what the program did, as a word or a few.
	Access string
	// Object is to what: a path without links, a port, the name of a socket or of a call.
	Object string
	// Key is the key of sandbox that opens it, and Value what is to be added there. An empty
	// one: no key does.
	Key, Value string
	// Hint is what else there is to know, as a sentence without its first capital; may be
	// empty.
	Hint string
}

// Entry is the denial as what opens it, in the form of the configuration; empty where no key
// does.
func (d Denial) Entry() string {
	if d.Key == "" {
		return ""
	}
	return fmt.Sprintf("sandbox: {%s: [%s]}", d.Key, flow(d.Value))
}

// flow is a text as an item of a list of YAML in brackets.
func flow(text string) string {
	isPlain := text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '/' && r != '.' && r != '-' && r != '_' && r != '+' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r)
	})
	if isPlain {
		return text
	}
	return strconv.Quote(text)
}

// Needs is an [Observer] that collects what programs need beyond what every one may use. Its
// methods may be called concurrently.
type Needs struct {
	mu     sync.Mutex
	opened []Denial
	closed []Denial
	blind  string
}

// Denied collects the access.
func (n *Needs) Denied(d Denial) {
	n.mu.Lock()
	defer n.mu.Unlock()
	into := &n.opened
	if d.Key == "" {
		into = &n.closed
	}
	if !slices.Contains(*into, d) {
		*into = append(*into, d)
	}
}

// Blind keeps the first reason.
func (n *Needs) Blind(reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.blind == "" {
		n.blind = reason
	}
}

// Needed is what programs need beyond what every one may use.
type Needed struct {
	// Read, Write and Connect are what belongs under these keys, sorted, and nothing that
	// another one opens.
	Read    []string `json:"read,omitempty"`
	Write   []string `json:"write,omitempty"`
	Connect []string `json:"connect,omitempty"`
	// Hints are sentences about these.
	Hints []string `json:"hints,omitempty"`
	// Denied are accesses that no key opens, in words.
	Denied []string `json:"denied,omitempty"`
	// Unobserved is why the list is not complete; empty: it is.
	Unobserved string `json:"unobserved,omitempty"`
}

// Needed returns what has been collected.
func (n *Needs) Needed() Needed {
	n.mu.Lock()
	defer n.mu.Unlock()
	needed := Needed{Unobserved: n.blind}
	values := map[string][]string{}
	for _, d := range n.opened {
		values[d.Key] = append(values[d.Key], d.Value)
		if d.Hint != "" && !slices.Contains(needed.Hints, d.Hint) {
			needed.Hints = append(needed.Hints, d.Hint)
		}
	}
	for _, d := range n.closed {
		words := d.Access + ": " + d.Object
		if d.Hint != "" {
			words += " (" + d.Hint + ")"
		}
		needed.Denied = append(needed.Denied, words)
	}
	needed.Write = uppermost(values[keyWrite], nil)
	needed.Read = uppermost(values[keyRead], needed.Write)
	needed.Connect = values[keyConnect]
	for _, list := range [][]string{needed.Connect, needed.Hints, needed.Denied} {
		slices.Sort(list)
	}
	return needed
}

// uppermost are the paths that lie in no other one of them or of others.
func uppermost(paths, others []string) []string {
	slices.Sort(paths)
	var kept []string
	for _, path := range paths {
		isOpen := func(dir string) bool { return isBelow(path, dir) }
		if !slices.ContainsFunc(kept, isOpen) && !slices.ContainsFunc(others, isOpen) {
			kept = append(kept, path)
		}
	}
	return kept
}

// isBelow reports whether a path is that of a directory or lies in it.
func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Block is what is needed as a block of the configuration, indented; empty where nothing is.
func (n Needed) Block() string {
	var lines []string
	for _, list := range []struct {
		key    string
		values []string
	}{{keyRead, n.Read}, {keyWrite, n.Write}, {keyConnect, n.Connect}} {
		if len(list.values) == 0 {
			continue
		}
		items := make([]string, 0, len(list.values))
		for _, value := range list.values {
			items = append(items, flow(value))
		}
		lines = append(lines, fmt.Sprintf("  %s: [%s]", list.key, strings.Join(items, ", ")))
	}
	if len(lines) == 0 {
		return ""
	}
	return "sandbox:\n" + strings.Join(lines, "\n")
}

// reported is what has been reported of one process, so that it is not reported again.
type reported struct {
	values map[string]bool   // a key and a value, or an access and an object
	first  map[string]string // the first value in a directory, by key and directory
}

// most is how many different accesses of one process are reported.
const most = 50

func newReported() *reported {
	return &reported{values: map[string]bool{}, first: map[string]string{}}
}

// isFull reports whether enough has been reported.
func (r *reported) isFull() bool { return len(r.values) >= most }

// note returns what is to be reported of an access, if anything: the second path in a
// directory that belongs to the program has the directory reported, and nothing in it
// later.
func (r *reported) note(d Denial, isWide func(dir string) bool) (Denial, bool) {
	if d.Key == keyRead || d.Key == keyWrite {
		for dir := d.Value; ; dir = filepath.Dir(dir) {
			if r.values[keyWrite+dir] || d.Key == keyRead && r.values[keyRead+dir] {
				return d, false
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
		dir := filepath.Dir(d.Value)
		switch first, ok := r.first[d.Key+dir]; {
		case !ok:
			r.first[d.Key+dir] = d.Value
		case first != d.Value && !isWide(dir):
			d.Value = dir
		}
		r.values[d.Key+d.Value] = true
		return d, true
	}
	id := d.Access + " " + d.Object
	if r.values[id] {
		return d, false
	}
	r.values[id] = true
	return d, true
}
