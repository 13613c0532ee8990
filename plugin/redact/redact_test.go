package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/sandbox/canary"
)

func asJSON(text string) string {
	encoded, _ := json.Marshal(text)
	return string(encoded)
}

// everyByte is a text with every byte escaped.
func everyByte(format, text string) string {
	var escaped strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&escaped, format, c)
	}
	return escaped.String()
}

// secrets are distinctive, and long enough for [canary.Find].
var secrets = map[string]string{
	"plain":      "canary-7f3a9c51d2e84b60b1c9",
	"special":    `c4nary+7f3A/9c51~d2"8.4b\60_b1c9==`,
	"spaces":     "c4nary 7f3A 9c51 & d2e8 <4b60>",
	"umlauts":    "cänary-7f3ä-9c51-ö2e8-€4b60-😀",
	"percent":    "c4nary%2F7f3a%9c51%%d2e84b60",
	"backslash":  `c4nary\n7f3a\\9c51\u0041d2e84b60`,
	"whitespace": " canary-7f3a9c51d2e84b60b1c9\t",
	"no text":    "canary\xff\xfe7f3a9c51d2e8\x004b60b1c9",
}

// forms are the ways in which programs write a text down.
var forms = map[string]func(string) string{
	"plain":           func(s string) string { return s },
	"trimmed":         strings.TrimSpace,
	"JSON":            asJSON,
	"JSON in JSON":    func(s string) string { return asJSON(asJSON(s)) },
	"Go":              strconv.Quote,
	"Go, ASCII":       strconv.QuoteToASCII,
	"protobuf":        func(s string) string { return prototext.Format(structpb.NewStringValue(strings.ToValidUTF8(s, "?"))) },
	"query":           url.QueryEscape,
	"path":            url.PathEscape,
	"query, lower":    func(s string) string { return lowerHex(url.QueryEscape(s)) },
	"path, lower":     func(s string) string { return lowerHex(url.PathEscape(s)) },
	"every byte":      func(s string) string { return everyByte("%%%02x", s) },
	"query in JSON":   func(s string) string { return asJSON("https://x/?t=" + url.QueryEscape(s)) },
	"query in query":  func(s string) string { return url.QueryEscape("https://x/?t=" + url.QueryEscape(s)) },
	"base64":          func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64, after 1": func(s string) string { return base64.StdEncoding.EncodeToString([]byte("a" + s)) },
	"base64, after 2": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("ab" + s)) },
	"base64 between":  func(s string) string { return base64.URLEncoding.EncodeToString([]byte(`{"t":"` + s + `"}`)) },
	"base64 in query": func(s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("ann:" + s)))
	},
}

func lowerHex(text string) string {
	var lower strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			lower.WriteString(strings.ToLower(text[i : i+3]))
			i += 2
			continue
		}
		lower.WriteByte(text[i])
	}
	return lower.String()
}

func TestBlank_FindsASecretInEveryForm(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		redactor := redact.Of("another value", secret, "a third value")
		for form, write := range forms {
			if name == "no text" && form == "protobuf" {
				continue // which holds no such thing
			}
			t.Run(name+" as "+form, func(t *testing.T) {
				t.Parallel()
				written := write(secret)
				line := "before:" + written + ":after"
				require.True(t, redactor.Finds(line), line)
				blanked := redactor.Blank(line)
				require.Contains(t, blanked, redact.Hidden)
				require.True(t, strings.HasPrefix(blanked, "before:") && strings.HasSuffix(blanked, ":after"), blanked)
				require.NotEqual(t, line, blanked)
				require.False(t, redactor.Finds(blanked), blanked)
				trimmed := strings.TrimSpace(secret)
				require.NotEmpty(t, canary.Find([]byte("x"+trimmed), trimmed))
				require.Empty(t, canary.Find([]byte(blanked), trimmed), blanked)
			})
		}
	}
}

func TestBlank_BlanksPlantedSecrets(t *testing.T) {
	t.Parallel()
	const secret = "c4nary+7f3A/9c51~d2e8.4b60_b1c9=="
	redactor := redact.Of(secret)
	for _, planted := range canary.Planted(secret) {
		if strings.Contains(planted, secret[:len(secret)*2/3]) && !strings.Contains(planted, secret) || planted == strings.ToUpper(secret) {
			continue // half of it, or in capitals, is not written by accident
		}
		require.NotEmpty(t, canary.Find([]byte(planted), secret))
		require.Empty(t, canary.Find([]byte(redactor.Blank(planted)), secret), planted)
	}
}

func TestBlank_BlanksPartsOfAValue(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
	account, err := json.Marshal(map[string]string{"type": "service_account", "private_key": key})
	require.NoError(t, err)
	for name, c := range map[string]struct{ secret, line, want string }{
		"a line":                     {key, "key MIIEvAIBADANBgkq", "key (secret)"},
		"a line, carriage return":    {"first-line\r\nsecond-line\r\n", "got second-line", "got (secret)"},
		"a line of a key in JSON":    {string(account), "hkiG9w0BAQEFAASC", "(secret)"},
		"the key in indented JSON":   {"{\n  \"private_key_id\": \"1f2e3d4c5b6a\"\n}", "id 1f2e3d4c5b6a", "id (secret)"},
		"a token after Bearer":       {"Bearer 7f3a9c51d2e8", "token 7f3a9c51d2e8", "token (secret)"},
		"the value of a header":      {"X-Key: 7f3a9c51d2e8", "key=7f3a9c51d2e8", "key=(secret)"},
		"the token in a header":      {"Authorization: Bearer 7f3a9c51d2e8", "7f3a9c51d2e8.", "(secret)."},
		"a password in a connection": {"host=db user=ann password=7f3a9c51", "pw 7f3a9c51", "pw (secret)"},
		"a word is left":             {"X-Key: yes", "yes, the key", "yes, the key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, redact.Of(c.secret).Blank(c.line))
		})
	}
}

func TestBlank_WritesThePlaceholder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values     []redact.Value
		text, want string
	}{
		"each its own":             {[]redact.Value{{"alpha", "${env:A}"}, {"bravo", "(b)"}}, "alpha, bravo, alpha", "${env:A}, (b), ${env:A}"},
		"the longer of two":        {[]redact.Value{{"alpha", "(a)"}, {"alphabet", "(ab)"}}, "alphabet alpha", "(ab) (a)"},
		"the first of two":         {[]redact.Value{{"alpha", "(1)"}, {"alpha", "(2)"}}, "alpha", "(1)"},
		"overlapping values":       {[]redact.Value{{"alphabet", "(1)"}, {"betatron", "(2)"}}, "an alphabetatron.", "an (1)."},
		"a value over itself":      {[]redact.Value{{"aaaa", "(1)"}}, "aaaaaa", "(1)"},
		"one inside of another":    {[]redact.Value{{"phab", "(1)"}, {"alphabet", "(2)"}}, "alphabet", "(2)"},
		"what blanking would make": {[]redact.Value{{"bravo", "alpha"}, {"alpha", "(1)"}}, "bravo", "alpha"},
		"nothing":                  {nil, `alpha \n %20`, `alpha \n %20`},
		"too short":                {[]redact.Value{{"abc", "(1)"}, {"", "(2)"}}, "abcabc YWJj", "abcabc YWJj"},
		"four bytes":               {[]redact.Value{{"abcd", "(1)"}}, "abcd abc", "(1) abc"},
		"escapes around it stay":   {[]redact.Value{{"alpha", "(1)"}}, `%20\u0020alpha\n\q%zz`, `%20\u0020(1)\n\q%zz`},
		"unfinished escapes":       {[]redact.Value{{"alpha", "(1)"}}, `\ud83d\u00 \x4 \U0001f60 \07 \`, `\ud83d\u00 \x4 \U0001f60 \07 \`},
		"the empty text":           {[]redact.Value{{"alpha", "(1)"}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redactor := redact.New(c.values...)
			require.Equal(t, c.want, redactor.Blank(c.text))
			require.Equal(t, c.want != c.text, redactor.Finds(c.text))
		})
	}
	long := redact.Of("alphabet").Blank(strings.Repeat("x", redact.Longest-5) + "alphabet")
	require.Equal(t, strings.Repeat("x", redact.Longest-5)+"(secret)", long, "the beginning, and nothing of the value")
	require.True(t, redact.Of("alphabet").Finds(strings.Repeat("x", redact.Longest)+`al\u0070habet`))
	var none *redact.Redactor
	require.Equal(t, "alpha", none.Blank("alpha"))
	require.False(t, none.Finds("alpha"))
	require.Equal(t, "alpha", (&redact.Redactor{}).Blank("alpha"))
}

// TestBlank_BlanksTheBeginningOfASecret cuts a line at every byte: not more than a
// few characters of the secret may be left.
func TestBlank_BlanksTheBeginningOfASecret(t *testing.T) {
	t.Parallel()
	const secret = "\u00e4/7f3a9c51+d2e8\"4b60b1c9"
	redactor := redact.Of(secret)
	for form, write := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			line := "before:" + write(secret)
			for end := range len(line) {
				blanked := redactor.BlankBeginning(line[:end])
				for _, reading := range redact.Readings(blanked) {
					for _, trace := range redact.Forms(secret) {
						require.NotContains(t, reading, trace[:8], line[:end])
					}
				}
			}
		})
	}
}

func TestTexts_OfSecrets(t *testing.T) {
	t.Parallel()
	fields, err := structpb.NewStruct(map[string]any{"a": "in-a-map", "b": []any{"in-a-list", map[string]any{"c": "deep-down"}}, "d": 12345678.0, "e": true, "f": nil})
	require.NoError(t, err)
	redactor := redact.Request(&pluginv1.ConfigureRequest{Secrets: map[string]*pluginv1.Value{
		"text":  {Kind: &pluginv1.Value_StringValue{StringValue: "in-a-text"}},
		"list":  {Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: []string{"in-an-item", "x"}}}},
		"file":  {Kind: &pluginv1.Value_FileContent{FileContent: []byte("in-a-file")}},
		"map":   {Kind: &pluginv1.Value_MapValue{MapValue: fields}},
		"pin":   {Kind: &pluginv1.Value_IntValue{IntValue: 90210777}},
		"flag":  {Kind: &pluginv1.Value_BoolValue{BoolValue: true}},
		"empty": {},
	}})
	require.Equal(t, strings.Repeat("(secret) ", 8)+"true null", redactor.Blank(
		"in-a-text in-an-item in-a-file in-a-map in-a-list deep-down 12345678 90210777 true null"))
}

func TestBlank_BlanksThePluginKey(t *testing.T) {
	t.Parallel()
	const key = `{"kty":"OKP","kid":"5f1c","crv":"Ed25519","x":"cHVibGljLXBhcnQ","d":"cHJpdmF0ZS1wYXJ0LW9mLWEta2V5"}`
	redactor := redact.Request(&pluginv1.ConfigureRequest{Host: &pluginv1.Host{PasswordKey: key}})
	require.Equal(t, "(secret) / d is (secret) / as a client secret a:b:v1:(secret) / kid 5f1c", redactor.Blank(
		key+" / d is cHJpdmF0ZS1wYXJ0LW9mLWEta2V5 / as a client secret a:b:v1:"+base64.RawURLEncoding.EncodeToString([]byte(key))+" / kid 5f1c"))
}

func BenchmarkBlank(b *testing.B) {
	var texts []string
	for i := range 20 {
		texts = append(texts, fmt.Sprintf("%032x", i*7919))
	}
	redactor := redact.Of(texts...)
	line := strings.Repeat(`request answered {"path":"/scim/v2/Users?startIndex=1&count=100","status":200} `, 3)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		redactor.Blank(line)
	}
}
