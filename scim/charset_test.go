package scim_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/raced"
)

// textList is a list of the user with that name.
func textList(userName string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[{"id":"1","userName":"` + userName +
		`","displayName":"` + userName + `"}]}`
}

// encoded is a text in another character set.
func encoded(t *testing.T, as encoding.Encoding, text string) string {
	t.Helper()
	written, err := as.NewEncoder().String(text)
	require.NoError(t, err)
	return written
}

// TestCharset: the text of an answer is read as what it is, or not at all.
func TestCharset(t *testing.T) {
	t.Parallel()
	const login = "müller@example.com"
	for name, c := range map[string]struct {
		contentType string
		as          encoding.Encoding // nil is UTF-8
		prefix      string
	}{
		"nothing declared":                           {"application/scim+json", nil, ""},
		"no content type":                            {"", nil, ""},
		"no content type, a byte order mark":         {"", nil, "\xef\xbb\xbf"},
		"an empty charset":                           {"application/json; charset=", nil, ""},
		"UTF-8":                                      {"application/json; charset=UTF-8", nil, ""},
		"utf-8 in quotes":                            {`application/json;charset="utf-8"`, nil, ""},
		"utf-8 in the quotes of a shell":             {`application/json;charset='utf-8'`, nil, ""},
		"utf8":                                       {"application/json; charset=utf8", nil, ""},
		"utf-8 with a byte order mark":               {"application/json; charset=utf-8", nil, "\xef\xbb\xbf"},
		"ISO-8859-1 with a mark of UTF-8":            {"application/json; charset=ISO-8859-1", nil, "\xef\xbb\xbf"},
		"utf-8 twice":                                {"application/json; charset=utf-8; charset=UTF-8", nil, ""},
		"utf-8, a header that breaks the rules":      {"application/json; charset=utf-8; ; x", nil, ""},
		"utf-8, no semicolon":                        {"charset=utf-8", nil, ""},
		"us-ascii that is UTF-8":                     {"application/json; charset=US-ASCII", nil, ""},
		"ISO-8859-1":                                 {"application/scim+json;charset=ISO-8859-1", charmap.ISO8859_1, ""},
		"iso-8859-1 in quotes":                       {`application/json; Charset="iso-8859-1"`, charmap.ISO8859_1, ""},
		"ISO-8859-1, a header that breaks the rules": {"application/json; charset=ISO-8859-1; ; x", charmap.ISO8859_1, ""},
		"latin1":                            {"application/json; charset=latin1", charmap.ISO8859_1, ""},
		"ISO-8859-15":                       {"application/json; charset=ISO-8859-15", charmap.ISO8859_15, ""},
		"windows-1252":                      {"application/json; charset=windows-1252", charmap.Windows1252, ""},
		"IBM850":                            {"application/json; charset=IBM850", charmap.CodePage850, ""},
		"ISO8859_1, as Java calls it":       {"application/json; charset=ISO8859_1", charmap.ISO8859_1, ""},
		"8859_1, as Java calls it":          {"application/json; charset=8859_1", charmap.ISO8859_1, ""},
		"8859_1 that is UTF-8":              {"application/json; charset=8859_1", nil, ""},
		"ISO-8859-1 that is UTF-8":          {"application/json; charset=ISO-8859-1", nil, ""},
		"ISO-8859-15 that is UTF-8":         {"application/json; charset=ISO-8859-15", nil, ""},
		"windows-1252 that is UTF-8":        {"application/json; charset=windows-1252", nil, ""},
		"windows-1251 that is UTF-8":        {"application/json; charset=windows-1251", nil, ""},
		"ISO-8859-8-I that is UTF-8":        {"application/json; charset=ISO-8859-8-I", nil, ""},
		"KOI8-R that is UTF-8":              {"application/json; charset=KOI8-R", nil, ""},
		"x-user-defined that is UTF-8":      {"application/json; charset=x-user-defined", nil, ""},
		"two different ones that are UTF-8": {"application/json; charset=utf-8; charset=latin1", nil, ""},
		"none":                              {"application/json; charset=none", nil, ""},
		"null":                              {"application/json; charset=null", nil, ""},
		"binary":                            {"application/json; charset=binary", nil, ""},
		"utf_8":                             {"application/json; charset=utf_8", nil, ""},
		"UTF8MB4":                           {"application/json; charset=UTF8MB4", nil, ""},
		"utf-8-sig":                         {"application/json; charset=utf-8-sig", nil, ""},
		"unknown":                           {"application/json; charset=x-mystery", nil, ""},
		"UTF-16, big end first":             {"application/json; charset=UTF-16", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), ""},
		"UTF-16, little end first":          {"application/json; charset=utf-16", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), ""},
		"UTF-16, big end first, mark":       {"application/json; charset=utf-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM), ""},
		"UTF-16, little end first, mark":    {"application/json; charset=utf-16", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), ""},
		"UTF-16LE":                          {"application/json; charset=UTF-16LE", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), ""},
		"UTF-16LE with a mark":              {"application/json; charset=UTF-16LE", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), ""},
		"UTF-16BE":                          {"application/json; charset=UTF-16BE", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), ""},
	} {
		t.Run("S9: the text is "+name, func(t *testing.T) {
			t.Parallel()
			body := textList(login)
			if c.as != nil {
				body = encoded(t, c.as, body)
			}
			account := listOne(t, serve(http.StatusOK, c.contentType, c.prefix+body))
			all(hasLogin(login), hasName(login))(t, account)
		})
	}

	t.Run("S9: the text is of two people, in ISO-8859-1", func(t *testing.T) {
		t.Parallel()
		const users = `{"totalResults":2,"Resources":[{"id":"1","userName":"m` + "\xfc" + `ller@example.com"},{"id":"2","userName":"m` + "\xf6" + `ller@example.com"}]}`
		accounts, err := listAll(t, newConnector(t, start(t, serve(http.StatusOK, "application/json;charset=ISO-8859-1", users))))
		require.NoError(t, err)
		hasLogin("müller@example.com")(t, accounts["1"])
		hasLogin("möller@example.com")(t, accounts["2"])
	})

	t.Run("S9: the text is Japanese", func(t *testing.T) {
		t.Parallel()
		account := listOne(t, serve(http.StatusOK, "application/json; charset=Shift_JIS", encoded(t, japanese.ShiftJIS, textList("山田"))))
		hasLogin("山田")(t, account)
	})

	t.Run("S9: the text is Japanese, and valid UTF-8 too", func(t *testing.T) {
		t.Parallel()
		hasLogin("ﾄ")(t, listOne(t, serve(http.StatusOK, "application/json; charset=Shift_JIS", textList("\xc4"))))
		hasLogin("ﾃｩ")(t, listOne(t, serve(http.StatusOK, "application/json; charset=Shift_JIS", textList("\xc3\xa9"))))
	})

	t.Run("S9: the text is ASCII, of an unknown set", func(t *testing.T) {
		t.Parallel()
		hasLogin("ann")(t, listOne(t, serve(http.StatusOK, "application/json; charset=x-mystery", textList("ann"))))
	})

	latin1 := encoded(t, charmap.ISO8859_1, textList(login))
	for name, c := range map[string]struct {
		contentType, body string
		code              codes.Code
		message           string
	}{
		"not declared":                            {"application/json", latin1, codes.DataLoss, "not valid UTF-8"},
		"no content type":                         {"", latin1, codes.DataLoss, "not valid UTF-8"},
		"declared to be UTF-8":                    {"application/json;charset=UTF-8", latin1, codes.DataLoss, "not valid UTF-8"},
		"declared to be ASCII":                    {"application/json;charset=us-ascii", latin1, codes.DataLoss, "not valid US-ASCII"},
		"where nothing is read":                   {"", strings.Replace(textList("ann"), `"id"`, "\"note\":\"\xff\",\"id\"", 1), codes.DataLoss, "not valid UTF-8"},
		"in the name of a member":                 {"", strings.Replace(textList("ann"), `"id"`, "\"n\xf6te\":1,\"id\"", 1), codes.DataLoss, "not valid UTF-8"},
		"a surrogate as UTF-8":                    {"", textList("m\xed\xa0\x80ller"), codes.DataLoss, "not valid UTF-8"},
		"undeclared UTF-16":                       {"", encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), textList(login)), codes.DataLoss, "not valid UTF-8"},
		"half a pair in UTF-16":                   {"application/json; charset=utf-16be", encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), `{"a":"`) + "\xd8\x00\x00\"\x00}", codes.DataLoss, "not valid utf-16be"},
		"half a character of UTF-16":              {"application/json; charset=utf-16be", encoded(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), textList(login)) + "\x00", codes.DataLoss, "not valid utf-16be"},
		"no character of the set":                 {"application/json; charset=windows-1253", textList("m\xd2ller"), codes.DataLoss, "not valid windows-1253"},
		"unknown":                                 {"application/json; charset=x-mystery", latin1, codes.FailedPrecondition, `"x-mystery"`},
		"none":                                    {"application/json; charset=none", latin1, codes.FailedPrecondition, `"none"`},
		"utf_8":                                   {"application/json; charset=utf_8", latin1, codes.FailedPrecondition, `"utf_8"`},
		"x-user-defined":                          {"application/json; charset=x-user-defined", latin1, codes.FailedPrecondition, `"x-user-defined"`},
		"UTF-32":                                  {"application/json; charset=UTF-32LE", "{\x00\x00\x00}\x00\x00\x00", codes.FailedPrecondition, `"UTF-32LE"`},
		"known and not decoded":                   {"application/json; charset=UTF-7", textList("ann"), codes.FailedPrecondition, `"UTF-7"`},
		"known and never to be used":              {"application/json; charset=iso-2022-kr", textList("ann"), codes.FailedPrecondition, `"iso-2022-kr"`},
		"two different ones":                      {"application/json; charset=utf-8; charset=latin1", latin1, codes.FailedPrecondition, `"utf-8 and latin1"`},
		"a web page, in another":                  {"text/html", "<html>m\xfcller</html>", codes.FailedPrecondition, "web page"},
		"a web page, unknown":                     {"text/html; charset=x-mystery", "<html></html>", codes.FailedPrecondition, "web page"},
		"an error as a success":                   {"", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"m` + "\xfc" + `de"}`, codes.PermissionDenied, "403"},
		"nothing":                                 {"application/json; charset=x-mystery", "", codes.FailedPrecondition, "answered with nothing"},
		"half a pair in a userName":               {"", textList(`m\ud800ller`), codes.DataLoss, " is half of a character"},
		"a half pair, the other half":             {"", textList(`m\uDC00ller`), codes.DataLoss, " is half of a character"},
		"half a pair in an e-mail":                {"", `{"totalResults":1,"Resources":[{"id":"1","userName":"a","emails":[{"value":"m\ud800@x.org"}]}]}`, codes.DataLoss, " is half of a character"},
		"half a pair in an externalId":            {"", `{"totalResults":1,"Resources":[{"id":"1","userName":"a","externalId":"\ud800"}]}`, codes.DataLoss, " is half of a character"},
		"half a pair, nested":                     {"", `{"totalResults":1,"Resources":[{"id":"1","urn:ietf:params:scim:schemas:core:2.0:User":{"userName":"\ud800"}}]}`, codes.DataLoss, " is half of a character"},
		"half a pair in an id":                    {"", `{"totalResults":1,"Resources":[{"id":"\ud800","userName":"a"}]}`, codes.DataLoss, " is half of a character"},
		"half a pair in a displayName":            {"", `{"totalResults":1,"Resources":[{"id":"1","userName":"a","displayName":"m\ud800ller"}]}`, codes.DataLoss, `\ud800`},
		"half a pair in a name":                   {"", `{"totalResults":1,"Resources":[{"id":"1","userName":"a","name":{"familyName":"\uDFFF"}}]}`, codes.DataLoss, `\uDFFF`},
		"half a pair in a department":             {"", `{"totalResults":1,"Resources":[{"id":"1","userName":"a",` + enterprise + `:{"department":"\ud83d"}}]}`, codes.DataLoss, `\ud83d`},
		"half a pair before a pair":               {"", textList(`\ud83d\ud83d\ude00`), codes.DataLoss, `\ud83d`},
		"half a pair, then an escape":             {"", textList(`\ud83d\n`), codes.DataLoss, `\ud83d`},
		"half a pair, then a text":                {"", textList(`\ud83dx\ude00`), codes.DataLoss, `\ud83d`},
		"half a pair where nothing is read":       {"", strings.Replace(textList("ann"), `"id"`, `"n\ud800":1,"id"`, 1), codes.DataLoss, `\ud800`},
		"an error with half a pair, as a success": {"", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"\ud800"}`, codes.PermissionDenied, "403"},
	} {
		t.Run("S9: the text is refused: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, serve(http.StatusOK, c.contentType, c.body))
			require.Equal(t, c.code, st.Code(), st.Message())
			require.Contains(t, st.Message(), c.message)
		})
	}

	for written, want := range map[string]string{
		`\ud83d\ude00`: "\U0001F600", `\uD83D\uDE00\ud83d\ude00`: "\U0001F600\U0001F600", `\\ud800`: `\ud800`, `\\\\ud800`: `\\ud800`,
		`\ud83d\ude00\\ud800`: "\U0001F600" + `\ud800`, `\ud7ff\ue000`: "\ud7ff\ue000",
	} {
		t.Run("S9: the text has no half of a pair: "+written, func(t *testing.T) {
			t.Parallel()
			hasLogin(want)(t, listOne(t, serve(http.StatusOK, "", textList(written))))
		})
	}

	for name, userName := range map[string]string{"as it is": "m\uFFFDller", "as an escape": `m\ufffdller`} {
		t.Run("S9: the text was lost by the app: "+name, func(t *testing.T) {
			t.Parallel()
			url := start(t, serve(http.StatusOK, "", textList(userName)))
			_, warned := statuses(t, func() types.ConnectorServer { return newConnector(t, url) })
			require.Len(t, warned, 1)
			for message, numbers := range warned {
				require.Contains(t, message, "the app itself has lost")
				require.Equal(t, []int64{1}, numbers)
			}
		})
	}

	t.Run("S9: the text is of groups and members", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"g": `{"id":"g","displayName":"Büro","members":[{"value":"ü","type":"User"}]}`}}
		charset := "; charset=ISO-8859-1"
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ServeHTTP(translator{w, charset, charmap.ISO8859_1}, r)
		})
		connector := groupConnector(t, start(t, handler))
		groups, err := listGroups(t, connector)
		require.NoError(t, err)
		require.Len(t, groups, 1)
		require.Equal(t, "Büro", groups[0].GetDisplayName())
		got, err := listMembers(t, connector, "g")
		require.NoError(t, err)
		require.Equal(t, []string{"user/ü"}, got)

		undeclared := groupConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ServeHTTP(translator{w, "", charmap.ISO8859_1}, r)
		})))
		_, err = listGroups(t, undeclared)
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())
		_, err = listMembers(t, undeclared, "g")
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())

		half := groupConnector(t, start(t, &groupApp{groups: map[string]string{"g": `{"id":"g","displayName":"\ud800","members":[]}`}}))
		_, err = listGroups(t, half)
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())
		_, err = listMembers(t, half, "g")
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())
	})

	for name, contentType := range map[string]string{
		"not declared": "application/json", "declared": "application/json; charset=ISO-8859-1", "declared as UTF-8": "application/json; charset=utf-8", "unknown": "application/json; charset=x-mystery",
	} {
		t.Run("S9: the text is an error: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, serve(http.StatusForbidden, contentType, `{"detail":"f`+"\xfc"+`r Sie gesperrt"}`))
			require.Equal(t, codes.PermissionDenied, st.Code())
			require.Contains(t, st.Message(), "403")
			require.Contains(t, st.Message(), "für Sie gesperrt")
		})
	}

	t.Run("S9: the text repeats the secret in UTF-16", func(t *testing.T) {
		t.Parallel()
		st := listFails(t, serve(http.StatusOK, "application/json; charset=utf-16",
			encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), textList(testToken))))
		require.Contains(t, st.Message(), "sends the secret of")
	})

	t.Run("S9: the text is too large once it is decoded", func(t *testing.T) {
		raced.LeaveOut(t)
		t.Parallel()
		// 20 MiB of what takes two bytes in UTF-8.
		body := fmt.Sprintf(`{"totalResults":1,"Resources":[{"id":"1","userName":"ann","note":"%s"}]}`, strings.Repeat("\xfc", 20<<20))
		st := listFails(t, serve(http.StatusOK, "application/json; charset=ISO-8859-1", body))
		require.Contains(t, st.Message(), "more than 32 MiB")
	})
}

// translator writes what is written to it in another character set.
type translator struct {
	http.ResponseWriter
	charset string
	as      encoding.Encoding
}

func (w translator) Write(text []byte) (int, error) {
	w.Header().Set("Content-Type", "application/scim+json"+w.charset)
	written, err := w.as.NewEncoder().Bytes(text)
	if err != nil {
		return 0, err
	}
	if _, err := w.ResponseWriter.Write(written); err != nil {
		return 0, err
	}
	return len(text), nil
}
