package scim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// errorBody is what a server reports about an error, in any of the forms in use: those of
// SCIM 2.0 (RFC 7644 section 3.12) and 1.1, of OAuth (RFC 6749 section 5.2), of problem
// details (RFC 9457), and those that APIs have in common.
type errorBody struct {
	// scimType is the word that SCIM has for the kind of an error.
	scimType string
	// texts are the server's own words, each as short as it sends them.
	texts []string
	// status is the HTTP status that the body names, 0 if it names none.
	status int
	// isError means that the body is about an error, whatever status it came with.
	isError bool
}

const (
	// maxErrorTexts bounds how many errors of a list are shown, maxErrorDepth how deep
	// they may be nested.
	maxErrorTexts = 3
	maxErrorDepth = 4
)

// The names of members, in lower case and without _ and -. The first one that is a text
// counts.
var (
	// sentenceMembers are what the server reports, in words.
	sentenceMembers = []string{"detail", "description", "message", "errordescription", "errormessage", "errorsummary", "faultstring", "msg", "reason"}
	// titleMembers are what the error is called.
	titleMembers = []string{"scimtype", "error", "errorcode", "errortype", "title", "type", "code"}
	// errorMembers hold an error, or several of them.
	errorMembers = []string{"errors", "error", "fault", "detail", "errorcauses", "response", "messages"}
	// statusMembers are the HTTP status.
	statusMembers = []string{"status", "code", "statuscode", "errorcode"}
)

// decodeErrorBody reads what is known of these forms. Anything else, HTML above all, counts
// as no report: bodies are not repeated whole.
func decodeErrorBody(body []byte) errorBody {
	if !utf8.Valid(body) {
		// What people read in an error need not be certain.
		if decoded, err := charmap.Windows1252.NewDecoder().Bytes(body); err == nil {
			body = decoded
		}
	}
	body = []byte(strings.TrimPrefix(string(body), "\ufeff"))
	var sent errorBody
	sent.read(decodeAny(body), "", 0)
	return sent
}

// decodeErrorAnswer also reads a body that is declared to be plain text.
func decodeErrorAnswer(body []byte, header http.Header) errorBody {
	sent := decodeErrorBody(body)
	plain := strings.TrimSpace(string(body))
	if len(sent.texts) == 0 && plain != "" && !strings.ContainsAny(plain[:1], "<{[") &&
		strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/plain") {
		sent.texts = []string{plain}
	}
	return sent
}

// read reads an error, or several. within is the name of the member that it is in.
func (e *errorBody) read(value any, within string, depth int) {
	switch value := value.(type) {
	case string:
		if within == "errors" || within == "messages" {
			e.add(value)
		}
	case []any:
		for _, one := range value {
			e.read(one, within, depth)
		}
	case map[string]any:
		if depth < maxErrorDepth {
			e.readObject(value, within, depth)
		}
	}
}

func (e *errorBody) readObject(object map[string]any, within string, depth int) {
	members := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		name := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(key))
		if _, twice := members[name]; !twice {
			members[name] = object[key]
		}
	}
	if e.scimType == "" {
		e.scimType = textMember(members, "scimtype")
	}
	for _, name := range statusMembers {
		code, err := strconv.Atoi(shown(members[name]))
		if err == nil && code >= 400 && code <= 599 && e.status == 0 {
			e.status = code
		}
	}

	sentence, name := textMember(members, sentenceMembers...), ""
	for _, member := range titleMembers {
		if text := textMember(members, member); text != "" && !isLink(text) && !isNumber(text) {
			name = text
			break
		}
	}
	before := len(e.texts)
	switch {
	case sentence == "" || strings.Contains(strings.ToLower(sentence), strings.ToLower(name)):
		e.add(first(sentence, name))
	default:
		e.add(sentence + " (" + name + ")")
	}
	for _, member := range errorMembers {
		if _, isText := members[member].(string); isText || members[member] == nil {
			e.isError = e.isError || isText && member == "error" && textMember(members, member) != ""
			continue
		}
		e.isError = e.isError || (member == "errors" || member == "error" || member == "fault") && !isNothing(members[member])
		e.read(members[member], member, depth+1)
	}
	if within == "errors" && sentence+name == "" && len(e.texts) == before { // What is wrong, by the name of the parameter.
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if slices.Contains(statusMembers, strings.ToLower(key)) {
				continue
			}
			for _, text := range each(object[key]) {
				if text, ok := text.(string); ok {
					e.add(key + ": " + text)
				}
			}
		}
	}
}

// add adds a text, unless it is there.
func (e *errorBody) add(text string) {
	text = strings.TrimSpace(text)
	if text != "" && len(e.texts) < maxErrorTexts && !slices.Contains(e.texts, text) {
		e.texts = append(e.texts, text)
	}
}

func (e errorBody) text() string { return strings.Join(e.texts, "; ") }

// textMember returns the first of these members that is a text.
func textMember(members map[string]any, names ...string) string {
	for _, name := range names {
		if text, ok := members[name].(string); ok && strings.TrimSpace(text) != "" {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// isLink reports whether a text is the address of a description, as the type of problem
// details is.
func isLink(text string) bool { return strings.Contains(text, "://") || text == "about:blank" }

// isNothing reports whether a member is there for an error, and there is none.
func isNothing(value any) bool {
	switch value := value.(type) {
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return value == false || shown(value) == "0"
}

func isNumber(text string) bool {
	_, err := json.Number(text).Float64()
	return err == nil
}
