package unmodified

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// describedSince is the first SDK whose connectors have a command that prints their
// configuration schema.
const describedSince = "v0.2.68"

// HelpCommand prints the flags of a connector, which are the fields of its
// configuration, those of the SDK among them.
var HelpCommand = []string{"--help"}

// sdkFlags are the flags that an SDK before describedSince adds to every connector: the
// host decides on them, or they are for a run by hand. A connector cannot have them for
// its own fields.
var sdkFlags = []string{
	"help", "version",
	"client-id", "client-secret", "log-format", "log-level", "provisioning", "ticketing", "skip-full-sync",
	"file", "c1z-temp-dir", "event-feed",
	"grant-entitlement", "grant-principal", "grant-principal-type", "revoke-grant",
	"create-account-email", "create-account-login", "create-account-profile",
	"delete-resource", "delete-resource-type", "rotate-credentials", "rotate-credentials-type",
	"create-ticket", "bulk-create-ticket", "bulk-ticket-template-path", "get-ticket", "list-schemas", "list-ticket-schemas",
	"ticket-id", "ticket-template-path",
}

// help is what a connector's --help shows of its configuration.
type help struct {
	// fields are its own flags. What a help does not show is which of them are secrets:
	// only a truth value is known to be none.
	fields []*pluginv1.Field
	// words are how the help has their types, by their names.
	words map[string]string
}

// isSure reports whether the help shows the type of a field, and not a name that the
// author gave to its value.
func (h help) isSure(field string) bool {
	word, shown := h.words[field]
	_, sure := helpTypes[word]
	return shown && sure
}

// The words of a help for the flags of lists: of one whose text is parted at its commas,
// and of one whose text is an item.
const (
	sliceWord = "strings"
	arrayWord = "stringArray"
)

var (
	// helpFlag is a flag in a help, as cobra prints it: "  -f, --file string   The path".
	// A flag without a value has no word behind its name. A text goes on in lines that
	// are indented further.
	helpFlag = regexp.MustCompile(`^  (?:-\w, |    )--([A-Za-z0-9][\w.-]*)(?:\[=\S*\])?(?: (\S(?:.*?\S)?))?(?: {2,}(.*))?$`)
	// helpTypes are the words for the types of flags. A value of any other type, a
	// duration say, is a text in the form of its flag.
	helpTypes = map[string]pluginv1.FieldType{
		"":               pluginv1.FieldType_FIELD_TYPE_BOOL,
		"string":         pluginv1.FieldType_FIELD_TYPE_STRING,
		"int":            pluginv1.FieldType_FIELD_TYPE_INT,
		sliceWord:        pluginv1.FieldType_FIELD_TYPE_STRING_LIST,
		arrayWord:        pluginv1.FieldType_FIELD_TYPE_STRING_LIST,
		"stringToString": pluginv1.FieldType_FIELD_TYPE_MAP,
	}
	// helpMarks are the variable of a field and its default, which are no text for a
	// person who fills it in.
	helpMarks = regexp.MustCompile(`\s*\(\$BATON_\w+\)|\s*\(default .*\)$`)
)

// readHelp reads a help. It reports false for a text that is not the help of a
// connector.
func readHelp(text string) (help, bool) {
	_, flags, _ := strings.Cut("\n"+strings.ReplaceAll(text, "\r\n", "\n"), "\nFlags:\n")
	read := help{words: map[string]string{}}
	isConnector := false
	for line := range strings.SplitSeq(flags, "\n") {
		match := helpFlag.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		name, word, said := match[1], match[2], match[3]
		if slices.Contains(sdkFlags, name) {
			isConnector = isConnector || name == "client-id" // Every SDK has it.
			continue
		}
		word, _, _ = strings.Cut(word, "[=")
		fieldType, sure := helpTypes[word]
		if !sure {
			fieldType = pluginv1.FieldType_FIELD_TYPE_STRING
		}
		said, required := strings.CutPrefix(said, "required: ")
		read.words[name] = word
		read.fields = append(read.fields, &pluginv1.Field{
			Name: name, Type: fieldType, Required: required, Secret: fieldType != pluginv1.FieldType_FIELD_TYPE_BOOL,
			Help: strings.TrimSpace(helpMarks.ReplaceAllString(said, "")),
		})
	}
	return read, isConnector
}

// checkFields holds the operator's fields against what is known of the connector:
// whether it describes itself, and its help. The error has everything that is wrong.
func (s Settings) checkFields(ctx context.Context, answers Answers) error {
	if len(s.Fields) == 0 {
		return nil
	}
	if answers.Schema != "" {
		return errors.New("it describes its configuration itself, and its entry has fields too; leave fields out of the entry")
	}
	shown, isConnector := readHelp(answers.Help)
	flags := map[string]*pluginv1.Field{}
	var names []string
	for _, field := range shown.fields {
		flags[field.GetName()] = field
		names = append(names, field.GetName())
	}
	var wrong []string
	for _, field := range s.Fields {
		name := field.GetName()
		flag := flags[name]
		switch {
		case slices.Contains(sdkFlags, name):
			wrong = append(wrong, fmt.Sprintf("fields of its entry has %s, which is the SDK's own and for the host to decide on; leave it out", name))
		case !isConnector:
			// There is nothing to hold the field against.
		case flag == nil:
			if s.hasNoFlag(ctx, name) {
				wrong = append(wrong, fmt.Sprintf("fields of its entry has %s, for which the connector has no flag; %s", name, advice(name, names)))
			}
		case shown.isSure(name) && !fits(field.GetType(), flag.GetType()):
			wrong = append(wrong, fmt.Sprintf("fields of its entry has %s with type %s, and its --help has it with type %s; write that",
				name, schema.TypeName(field.GetType()), schema.TypeName(flag.GetType())))
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// fits reports whether a field can be of a type, given that of its flag. A file reaches
// the connector as a path.
func fits(field, flag pluginv1.FieldType) bool {
	return field == flag || field == pluginv1.FieldType_FIELD_TYPE_FILE && flag == pluginv1.FieldType_FIELD_TYPE_STRING
}

func advice(name string, names []string) string {
	if near := errtext.Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(names) == 0 {
		return "leave it out"
	}
	return "its flags are " + strings.Join(names, ", ")
}

// hasNoFlag reports whether the connector refuses a flag. A help does not show hidden
// ones.
func (s Settings) hasNoFlag(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, s.AskTimeout)
	defer cancel()
	_, err := s.ask(ctx, append([]string{"--" + name + "=1"}, HelpCommand...))
	// Not every flag accepts this value.
	return err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "invalid argument")
}

// mayLackSchema reports whether the connector's SDK may be one without the command that
// prints the configuration schema.
func (b Build) mayLackSchema() bool {
	return b.isUnknown() || semver.Compare(b.SDKVersion, describedSince) < 0
}

// notDescribed is the error about a connector whose configuration is not known from
// anywhere.
func (b Build) notDescribed(answers Answers) error {
	const entry = "list its fields under fields in its entry, with unmodified: true"
	command := strings.Join(SchemaCommand, " ")
	switch {
	case !b.mayLackSchema():
		return fmt.Errorf("its %s command, by which it says what configuration it takes, %w; run it by hand to see why, or %s", command, answers.Failure, entry)
	case !b.isUnknown():
		return fmt.Errorf("it is built with baton-sdk %s, which has no %s command to say what configuration it takes, and its --help shows no flags; "+
			"use a release of it that is built with baton-sdk %s or later, or %s", b.SDKVersion, command, describedSince, entry)
	default:
		return fmt.Errorf("its %s command, by which it says what configuration it takes, %w; and its --help shows no flags; "+
			"use a release of it that is built with baton-sdk %s or later, or %s", command, answers.Failure, describedSince, entry)
	}
}
