package support

import (
	_ "embed"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// words are those of the host's own sentences; docs/gen writes them.
//
//go:embed words.txt
var words string

const (
	// hidden stands for what is not the host's own.
	hidden = "…"
	// longestText is how many bytes of a text are shown.
	longestText = 1000
)

// ownWords returns the words that are shown: those of sentences, of the keys of a configuration,
// of answers of HTTP and of errors of the system.
var ownWords = sync.OnceValue(func() map[string]bool {
	own := map[string]bool{}
	add := func(text string) {
		for one := range strings.FieldsSeq(strings.ToLower(text)) {
			own[strings.Trim(one, ".,;:()")] = true
		}
	}
	add(words)
	add("baton-scim C1 SCIM HTTP HTTPS TLS DNS JSON YAML TCP gRPC x509")
	add("attempt attempts ListResourceTypes ListResources ListEntitlements ListGrants Validate")
	add("fresh waiting incomplete stale failed stopped starting ready refusing on warn off proven unproven not reported done dropped")
	var addKeys func(keys []config.Key)
	addKeys = func(keys []config.Key) {
		for _, key := range keys {
			add(key.Name)
			add(key.Formerly)
			addKeys(key.Keys)
		}
	}
	addKeys(config.KeyFile.Keys)
	for code := http.StatusBadRequest; code <= http.StatusNetworkAuthenticationRequired; code++ {
		add(http.StatusText(code))
	}
	const mostErrnos = 134
	for number := range mostErrnos {
		add(syscall.Errno(number).Error())
	}
	delete(own, "")
	return own
})

// aliases are what names of one kind are replaced by, in the order in which they are met.
type aliases struct {
	kind string
	of   map[string]string
}

// alias returns what stands for a name.
func (a *aliases) alias(name string) string {
	if name == "" {
		return "-"
	}
	if a.of[name] == "" {
		a.of[name] = fmt.Sprintf("%s-%d", a.kind, len(a.of)+1)
	}
	return a.of[name]
}

// censor replaces names, and hides what is not the host's own.
type censor struct {
	plugins, uploads, stores, helpers, fields, types *aliases
	// public are the names of connectors whose source is published.
	public map[string]bool
}

func newCensor() *censor {
	of := func(kind string) *aliases { return &aliases{kind: kind, of: map[string]string{}} }
	return &censor{
		plugins: of("plugin"), uploads: of("upload"), stores: of("store"), helpers: of("helper"), fields: of("field"), types: of("type"),
		public: map[string]bool{},
	}
}

// named returns the aliases of a name that has been met, joined where it is one of several kinds.
func (c *censor) named(name string) string {
	var found []string
	for _, kind := range []*aliases{c.plugins, c.uploads, c.stores, c.helpers} {
		if alias := kind.of[name]; alias != "" {
			found = append(found, alias)
		}
	}
	return strings.Join(found, "|")
}

var (
	// token is a reference, a quoted text, or what stands between spaces and quotes.
	token     = regexp.MustCompile(`\$\{[^}]*\}?|"[^"]*"|[^\s"]+`)
	reference = regexp.MustCompile(`^\$\{([a-z0-9_-]+):`)
	// plainNumber is a count, a share, a length of time, or a position: never as long as a
	// number of a person.
	plainNumber = regexp.MustCompile(`^\d{1,6}(\.\d{1,3})?(%|ns|µs|ms|s|m|h|B|KiB|MiB|GiB)?(\d{1,3}(\.\d{1,3})?(m|s))*$`)
	manyHidden  = regexp.MustCompile(hidden + `(?:[\s\pP<>]*` + hidden + `)+`)
	// joining is what may stand around a word.
	joining = "()[]{}<>'`.,;:!?–-" + hidden
)

// text returns a text of whatever origin with the words of the host alone.
func (c *censor) text(text string) string {
	text = errtext.Shorten(strings.Join(strings.Fields(text), " "), longestText)
	text = token.ReplaceAllStringFunc(text, func(one string) string {
		switch {
		case strings.HasPrefix(one, "${"):
			return c.reference(one)
		case strings.HasPrefix(one, `"`) && strings.HasSuffix(one, `"`) && len(one) > 1:
			return `"` + c.quoted(one[1:len(one)-1]) + `"`
		}
		core := strings.Trim(one, joining)
		if core == "" {
			return one
		}
		before, after, _ := strings.Cut(one, core)
		return before + c.word(core, strings.HasPrefix(after, ":")) + after
	})
	return manyHidden.ReplaceAllString(text, hidden)
}

// reference returns a reference with its scheme alone.
func (c *censor) reference(text string) string {
	found := reference.FindStringSubmatch(text)
	if found == nil {
		return "${" + hidden + "}"
	}
	return "${" + c.scheme(found[1]) + ":" + hidden + "}"
}

// quoted returns what stands in quotes: a name, or a key.
func (c *censor) quoted(text string) string {
	if alias := c.named(text); alias != "" {
		return alias
	}
	if ownWords()[strings.ToLower(text)] {
		return text
	}
	return hidden
}

// word returns a word. A name that is a word of the host too is taken for a name where it leads
// to something.
func (c *censor) word(text string, leads bool) string {
	own := ownWords()[strings.ToLower(text)]
	if alias := c.named(text); alias != "" && (leads || !own) {
		return alias
	}
	if own || plainNumber.MatchString(text) {
		return text
	}
	return hidden
}

// enumeration is a state, a grade or a mode.
var enumeration = regexp.MustCompile(`^[a-z][a-z -]{0,30}$`)

// one returns one of the host's own fixed texts.
func (c *censor) one(text string) string {
	switch {
	case text == "":
		return "-"
	case enumeration.MatchString(text):
		return c.text(text)
	}
	return hidden
}

var (
	connectorForm = regexp.MustCompile(`^baton(-[a-z0-9]{1,24}){1,4}$`)
	versionForm   = regexp.MustCompile(`^(go|v)?\d{1,4}(\.\d{1,6}){1,2}((rc|beta)\d{1,3})?([-+](0\.)?(rc|beta|alpha|dev|pre|dirty|incompatible|snapshot|next|\d{1,4}|\d{14}|g?[0-9a-f]{7,12})(\.?\d{1,4})?){0,3}$`)
	// commitForm is what `make build` gives a program of a commit without a tag. One without a
	// letter may be any number.
	commitForm    = regexp.MustCompile(`^[0-9a-f]{7,12}(-dirty)?$`)
	fixedVersions = map[string]bool{"dev": true, "(devel)": true, "unknown": true}
)

// connector returns the name of a connector's program if it is public: the host's own sentences
// have it, or its source is published. Another may be named after a company.
func (c *censor) connector(name string) string {
	return formed(name, connectorForm.MatchString(name) && (c.public[name] || ownWords()[name]))
}

// version returns a version, if it has the form of one.
func version(text string) string {
	isCommit := commitForm.MatchString(text) && strings.ContainsAny(strings.TrimSuffix(text, "-dirty"), "abcdef")
	return formed(text, fixedVersions[text] || versionForm.MatchString(text) || isCommit)
}

func formed(text string, isFormed bool) string {
	switch {
	case text == "":
		return "-"
	case isFormed:
		return text
	}
	return hidden
}
