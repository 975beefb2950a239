package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// Reading gives what the rule demands in sentences, for those who read law and
// not YAML; lang "zh" is Chinese, anything else English. It is made of the same
// fields that judge, so it cannot say anything else than they do. When the rule
// applies is its Scope; a rule whose body is an expression gives its words.
func (r *Rule) Reading(lang string) []string {
	w := reader{lang: lang}
	w.read(r)
	return w.out
}

func (w *reader) read(r *Rule) {
	switch r.kind {
	case kindConsent:
		w.consent(r.Consent)
	case kindStop:
		w.stops(r.Stop)
	case kindHours:
		w.hours(r.Hours)
	case kindFrequency:
		w.frequency(r.Frequency)
	case kindDisclosure:
		w.disclosure(r.Disclosure)
	case kindThirdParty:
		w.third(r.ThirdParty)
	case kindCallerID:
		w.callerID(r.CallerID)
	case kindAbandonment:
		w.abandonment(r.Abandonment)
	case kindDeadline:
		w.deadline(r.Deadline)
	case kindRetention:
		w.retention(r.Retention)
	case kindMasking:
		w.masking(r.Masking)
	case kindLimit:
		w.limit(r.Limit)
	case kindCondition:
		w.say("须符合：%s；否则：%s", "must hold: %s; otherwise: %s", r.Condition.Require, r.Condition.Otherwise.In(w.lang))
	}
	var duties []string
	for _, o := range r.Obligations {
		text := w.word(o.Kind)
		if o.Value != "" {
			text += w.in("：", ": ") + o.Value
		}
		if o.Latest != "" {
			text += w.in("，不迟于接通后 ", ", not later after the answer than ") + o.Latest
		}
		duties = append(duties, text)
	}
	if len(duties) > 0 {
		w.say("联系时须履行：%s", "a contact comes with: %s", strings.Join(duties, w.in("；", "; ")))
	}
}

// reader collects the sentences of a rule.
type reader struct {
	lang    string
	out     []string
	unknown []string // codes that have no words
}

func (w *reader) in(zh, en string) string { return Words{zh, en}.In(w.lang) }

func (w *reader) say(zh, en string, args ...any) {
	w.out = append(w.out, fmt.Sprintf(w.in(zh, en), args...))
}

// names puts codes in words and joins them.
func (w *reader) names(codes []string, zh, en string) string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = w.word(c)
	}
	return strings.Join(out, w.in(zh, en))
}

func (w *reader) and(codes []string) string { return w.names(codes, "、", ", ") }
func (w *reader) or(codes []string) string  { return w.names(codes, "或", " or ") }

// word gives the words of a code; one that packs coin themselves is shown as it is.
func (w *reader) word(code string) string {
	if t, ok := readingWords[code]; ok {
		return t.In(w.lang)
	}
	if t, ok := terms[code]; ok {
		return t.In(w.lang)
	}
	w.unknown = append(w.unknown, code)
	return strings.ReplaceAll(code, "_", " ")
}

// GradeWord names a grade that a rule demands of whoever approves an extension;
// one that packs coin themselves is shown as it is.
func GradeWord(grade, lang string) string { return (&reader{lang: lang}).word(grade) }

func codes[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return out
}

func (w *reader) span(s calendar.Span) string {
	text := spanWords(s.String(), w.lang)
	if s.N == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	return text
}

func (w *reader) length(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + w.in(" 小时", " hours")
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + w.in(" 分钟", " minutes")
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + w.in(" 秒", " seconds")
}

func (w *reader) consent(b *Consent) {
	if len(b.Grounds) > 0 {
		w.say("须以下列之一为依据：%s", "needs one of these grounds: %s", w.and(codes(b.Grounds)))
	}
	if b.Implied != "" {
		w.say("其中“%s”无须登记同意", "of which “%s” stands without a grant on file", w.word(string(b.Implied)))
	}
	if b.Forms != 0 {
		w.say("形式须为%s之一", "in one of these forms: %s", w.or(b.Forms.Names()))
	}
	if b.Evidence != 0 {
		w.say("须留有：%s", "on file must be: %s", w.and(b.Evidence.Names()))
	}
	if b.Named {
		w.say("同意须写明目的和渠道", "the grant names purpose and channel")
	}
	if b.MaxAge.Unit != 0 {
		w.say("取得不超过 %s", "given not longer ago than %s", w.span(b.MaxAge))
	}
}

func (w *reader) stops(b *StopRule) {
	if len(b.Kinds) > 0 {
		kinds := w.or(codes(b.Kinds))
		switch {
		case b.Purposes != 0:
			w.say("客户就%s%s的，不得联系", "no contact after %[2]s about %[1]s", w.and(b.Purposes.Names()), kinds)
		case b.Named:
			w.say("客户点名就这一目的%s的，不得联系", "no contact after %s that names this purpose", kinds)
		default:
			w.say("客户就这一目的%s的，不得联系", "no contact after %s about this purpose", kinds)
		}
		if b.Across {
			w.say("在任一渠道、号码提出的都算", "whatever channel or number it was said about")
		} else {
			w.say("只看就同一渠道或号码提出的", "where it is about the same channel or number")
		}
	}
	if b.Lasts.Unit != 0 {
		w.say("自提出起 %s内有效", "for %s from then", w.span(b.Lasts))
	}
	if len(b.Words) > 0 {
		w.say("回复以下字样视为拒绝：%s", "these words count as a refusal: %s", strings.Join(b.Words, w.in("、", ", ")))
	}
	if g := b.Registry; g != nil {
		w.say("列入名册 %s 的号码不得联系", "no contact with a number on register %s", g.Name)
		if g.Listed.Unit != 0 {
			w.say("列入满 %s 起", "once it was listed for %s", w.span(g.Listed))
		}
		if g.CopyAge.Unit != 0 {
			w.say("所查副本不得早于 %s", "the copy asked is not older than %s", w.span(g.CopyAge))
		}
		if u := slices.Concat(codes(g.Unless), g.UnlessIf); len(u) > 0 {
			w.say("有%s的除外", "unless there is %s", w.or(u))
		}
	}
}

func (w *reader) hours(b *Hours) {
	var parts []string
	for _, h := range b.Allow {
		parts = append(parts, w.weekdays(h.Days)+hhmm(h.From)+"–"+hhmm(h.To))
	}
	w.say("只在 %s 联系", "contact only %s", strings.Join(parts, w.in("，", "; ")))
	if b.Through {
		w.say("末一时刻本身仍可", "the last instant itself is still permitted")
	}
	w.say("以%s为准", "by %s", map[Where]Words{
		AtResidence: {"客户所在地时间", "the customer's local time"}, AtPoint: {"所拨号码所在地时间", "the local time of the number called"},
		AtBoth: {"客户所在地和号码所在地两者的时间", "both the customer's and the number's local time"}, AtPack: {"规则包所定时区", "the pack's zone"},
	}[b.Where].In(w.lang))
	if b.Holidays != AsWeekday || b.Makeup != AsWeekday {
		w.say("日历 %s：节假日%s，调休上班日%s", "calendar %s: a holiday %s, a made-up workday %s", b.Calendar, w.dayRule(b.Holidays), w.dayRule(b.Makeup))
	}
	if b.UnlessAgreed {
		w.say("客户另行约定时段的除外", "unless the customer agreed to other hours")
	}
	if b.UnlessConsent != 0 {
		w.say("有同意且留有%s的除外", "unless there is consent with %s on file", w.and(b.UnlessConsent.Names()))
	}
}

func (w *reader) dayRule(d DayRule) string {
	return map[DayRule]Words{AsWeekday: {"按星期计", "counts as its weekday"}, Closed: {"不得联系", "bars all contact"},
		AsSunday: {"按星期日计", "counts as a Sunday"}, AsMonday: {"按星期一计", "counts as a Monday"}}[d].In(w.lang)
}

var (
	dayZh = [...]string{"日", "一", "二", "三", "四", "五", "六"}
	dayEn = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
)

// weekdays names the days of a set, the week beginning with Monday; all days are no words.
func (w *reader) weekdays(bits uint8) string {
	if bits == 0 || bits == 1<<7-1 {
		return ""
	}
	var zh, en []string
	for i := range 7 {
		if d := (i + 1) % 7; bits&(1<<d) != 0 {
			zh, en = append(zh, dayZh[d]), append(en, dayEn[d])
		}
	}
	if len(zh) > 2 && consecutive(bits) {
		zh, en = []string{zh[0] + "至" + zh[len(zh)-1]}, []string{en[0] + "–" + en[len(en)-1]}
	}
	return w.in("周"+strings.Join(zh, "、")+" ", strings.Join(en, ", ")+" ")
}

// consecutive reports whether the days follow each other in a week that begins with Monday.
func consecutive(bits uint8) bool {
	week := bits>>1 | bits&1<<6
	for week&1 == 0 {
		week >>= 1
	}
	return week&(week+1) == 0
}

func (w *reader) frequency(b *Frequency) {
	what := w.and(b.Purposes.Names())
	if b.Purposes == 0 {
		what = w.in("任何联系", "any contact")
	}
	if n := b.Channels.Names(); len(n) > 0 && len(n) < len(contact.ChannelSet(contact.Voice, contact.SMS, contact.Email, contact.Letter, contact.Push).Names()) {
		what += w.in("，", ", ") + w.and(n)
	}
	per := map[Per]Words{PerPerson: {"每位客户", "per person"}, PerProduct: {"每位客户每笔产品或债务", "per person and product or debt"},
		PerCampaign: {"每位客户每个活动", "per person and campaign"}, PerEvent: {"每位客户每一事件", "per person and event"},
		PerSubject: {"每位客户每类产品", "per person and family of products"}}[b.Per].In(w.lang)
	unit := w.word(unitName(b.Unit))
	switch {
	case b.Pause:
		w.say("%s：有一次%s后，自当日（第 1 日）起连续 %d 日内不得再联系（计数：%s）", "%s: no contact for %[3]d consecutive local days from one of these, its day being day 1: %[2]s (counted: %[4]s)", per, unit, b.Days, what)
	case b.Block > 0:
		w.say("%s：每 %d 日为一期（自 %s 起逐期计），每期%s不超过 %d 次（计数：%s）", "%s: %[4]s in each successive block of %[2]d days (counted from %[3]s), at most %[5]d (counted: %[6]s)", per, b.Block, b.Anchor, unit, b.Max, what)
	case b.Days == 1:
		w.say("%s：当地自然日内%s不超过 %d 次（计数：%s）", "%s: %s on a local calendar day, at most %d (counted: %s)", per, unit, b.Max, what)
	case b.Days > 1:
		w.say("%s：连续 %d 个当地自然日（当日为第 1 日）内%s不超过 %d 次（计数：%s）", "%s: %[3]s in %[2]d consecutive local days, today being day 1, at most %[4]d (counted: %[5]s)", per, b.Days, unit, b.Max, what)
	default:
		w.say("%s：任意 %s内%s不超过 %d 次（计数：%s）", "%s: %[3]s within any %[2]s, at most %[4]d (counted: %[5]s)", per, w.length(b.Span), unit, b.Max, what)
	}
	switch b.Started {
	case ByBank:
		w.say("只计银行主动的联系", "only contacts that the bank began count")
	case ByCustomer:
		w.say("只计客户发起或要求的联系", "only contacts that the person began or asked for count")
	}
	if b.Unit == contact.ReachEffective {
		w.say("进行中或结果不明的联系按已发生计", "a contact in flight or of unknown outcome counts in full")
	}
	if b.After != nil {
		w.say("只在%s后 %s内", "only within %[2]s after %[1]s", w.or(codes(b.After.Kinds)), w.span(b.After.Within))
	}
}

func (w *reader) disclosure(b *Disclosure) {
	if len(b.Requires) > 0 {
		w.say("必须包含：%s", "must contain: %s", w.and(b.Requires))
	}
	if len(b.AnyOf) > 0 {
		w.say("至少包含其一：%s", "must contain one of: %s", w.or(b.AnyOf))
	}
	if len(b.Forbids) > 0 {
		w.say("不得包含：%s", "must not contain: %s", w.or(b.Forbids))
	}
	if b.Told != "" {
		w.say("此前须已告知客户：%s", "the customer must have been told before: %s", w.word(b.Told))
	}
	for _, l := range b.Latest {
		from := w.in("接通", "the answer")
		if l.After != "" {
			from = w.word(l.After)
		}
		w.say("%s须在%s后 %s内说出", "%s within %[3]s after %[2]s", w.word(l.Kind), from, w.length(l.Within))
	}
}

func (w *reader) third(b *ThirdParty) {
	who := make([]string, len(b.Allow))
	for i, r := range b.Allow {
		who[i] = r.String()
	}
	w.say("可以联系：%s", "may be contacted: %s", w.and(who))
	if len(b.ReferenceIf) == 0 {
		w.say("其他人不得联系", "nobody else")
		return
	}
	w.say("联系人仅在以下情形可以联系：%s", "a contact person only when: %s", w.or(b.ReferenceIf))
	if len(b.Requires) > 0 {
		w.say("且话术须包含：%s", "and the script contains: %s", w.and(b.Requires))
	}
	if b.FinalRefusal {
		w.say("联系人拒绝过的，不得再联系", "and never again once they refused")
	}
}

func (w *reader) callerID(b *CallerID) {
	w.say("须显示主叫号码", "the number must be shown")
	if len(b.Allow) > 0 {
		w.say("以 %s 开头", "it begins with %s", strings.Join(b.Allow, w.in(" 或 ", " or ")))
	}
	if len(b.Deny) > 0 {
		w.say("不得以 %s 开头", "it does not begin with %s", strings.Join(b.Deny, w.in(" 或 ", " or ")))
	}
	switch {
	case b.MinLen == b.MaxLen:
		w.say("共 %d 位", "it has %d digits", b.MinLen)
	case b.MinLen > 0:
		w.say("%d 至 %d 位", "it has %d to %d digits", b.MinLen, b.MaxLen)
	}
	if len(b.Requires) > 0 {
		w.say("并提供：%s", "and there is: %s", w.and(b.Requires))
	}
}

func (w *reader) abandonment(b *Abandonment) {
	w.say("每 %s内，接听后无人应答的不超过接听总数的 %g%%", "in each %s at most %g%% of the calls answered live are abandoned", w.span(b.Block), float64(b.PerMille)/10)
	w.say("接听后 %s内须有人应答，否则算作遗弃", "somebody speaks within %s of the answer, or the call is abandoned", w.length(b.Connect))
	if b.Ring > 0 {
		rings := ""
		if b.Rings > 0 {
			rings = fmt.Sprintf(w.in("或 %d 声", " or %d rings"), b.Rings)
		}
		w.say("未接的至少振铃 %s%s", "an unanswered call rings for at least %s%s", w.length(b.Ring), rings)
	}
	if len(b.Message) > 0 {
		w.say("遗弃时播放的录音须包含：%s", "the message played then contains: %s", w.and(b.Message))
	}
}

func (w *reader) deadline(b *Deadline) {
	w.say("自“%s”起 %s内须完成：%s", "from “%s” within %s: %s", w.word(b.Starts), w.span(b.Within), w.and(b.Done))
	if b.Calendar != "" && b.Within.Unit == calendar.WorkingDays {
		w.say("工作日按日历 %s 计", "working days by calendar %s", b.Calendar)
	}
	if len(b.Restarts) > 0 {
		w.say("遇“%s”重新起算", "begins anew at “%s”", w.or(b.Restarts))
	}
	if len(b.Pauses) > 0 {
		w.say("“%s”的时间不计入", "the time of “%s” does not count", w.or(b.Pauses))
	}
	if b.Extends != "" {
		w.say("须在原期限（%s）届满前延长", "takes the place of %s, before that ends", b.Extends)
	}
	if b.Approver != "" {
		w.say("由“%s”批准", "approved by “%s”", w.word(b.Approver))
	}
	if b.Notice {
		w.say("并在原期限届满前告知客户", "and the customer is told before the earlier term ends")
	}
}

func (w *reader) retention(b *Retention) {
	what, from := w.and(b.Records), w.and(b.From)
	if b.AtLeast.Unit != 0 {
		w.say("%s：自“%s”起至少保存 %s", "%s: kept for at least %[3]s from “%[2]s”", what, from, w.span(b.AtLeast))
	}
	if b.AtMost.Unit != 0 {
		w.say("%s：自“%s”起至多保存 %s", "%s: kept for at most %[3]s from “%[2]s”", what, from, w.span(b.AtMost))
	}
}

func (w *reader) masking(b *Masking) {
	for _, f := range b.Fields {
		keep := w.in("全部遮盖", "all of it masked")
		switch {
		case f.Class == "C1":
			keep = w.in("不遮盖", "not masked")
		case f.Class == "C3":
			keep = w.in("不得显示、记录或导出", "never shown, logged or exported")
		case f.Keep != "":
			keep = w.in("遮盖，只留", "masked but for ") + w.keep(f.Keep)
		}
		w.say("%s（%s）：%s", "%s (%s): %s", w.word(f.Field), f.Class, keep)
	}
}

// keep says what stays visible of a masked value.
func (w *reader) keep(form string) string {
	front, back, both := strings.Cut(form, "+")
	switch {
	case form == "surname":
		return w.in("姓氏", "the surname")
	case !both:
		return form
	case back == "domain":
		return fmt.Sprintf(w.in("前 %s 位和域名", "the first %s and the domain"), front)
	case front == "0":
		return fmt.Sprintf(w.in("后 %s 位", "the last %s"), back)
	}
	return fmt.Sprintf(w.in("前 %s 位和后 %s 位", "the first %s and the last %s"), front, back)
}

func (w *reader) limit(b *Limit) {
	if b.AtLeast > 0 {
		w.say("%s不少于 %d", "%s: at least %d", w.word(b.Count), b.AtLeast)
	}
	if b.AtMost < 1<<30 {
		w.say("%s不超过 %d", "%s: at most %d", w.word(b.Count), b.AtMost)
	}
}

// readingWords are those that Reading says otherwise than a reason does.
var readingWords = map[string]Words{
	"consent": {"同意", "consent"}, "request": {"客户的请求", "the customer's request"}, "contract": {"履行合同所必需", "performance of a contract"},
	"statute": {"法定职责", "a duty by law"}, "soft_opt_in": {"现有客户的同类产品推介", "an existing customer's soft opt-in"},
	"existing_relation": {"既有业务关系", "an existing business relation"},
	"withdrawal":        {"撤回同意", "a withdrawal"}, "refusal": {"拒绝", "a refusal"}, "do_not_contact": {"要求不再联系", "a do-not-contact request"}, "hold": {"处于暂停联系期", "a hold"},
	"written": {"书面", "written"}, "electronic": {"电子", "electronic"}, "oral": {"口头", "oral"}, "express": {"明示同意的动作", "an express act"},
	"notice": {"所示告知文本", "the notice shown"}, "proof": {"凭证", "proof"}, "separate": {"单独同意", "separate consent"}, "signed": {"签名", "a signature"},
	"received": {"收到", "received"}, "told": {"告知客户", "the customer is told"}, "answered": {"答复", "answered"}, "decided": {"作出决定", "decided"},
	"contacted": {"联系投诉人", "the complainant is contacted"}, "accepted": {"受理", "accepted"}, "closed": {"结案", "closed"}, "honoured": {"落实拒绝", "honoured"},
	"review_requested": {"申请核查", "a review is asked for"}, "review_decided": {"核查决定", "the review is decided"}, "review_told": {"告知核查结果", "the result of the review is told"},
	"new_facts": {"出现新的事实", "new facts"}, "appraisal": {"鉴定", "appraisal"}, "mediation": {"调解", "mediation"}, "responded": {"回应", "responded"}, "produced": {"提供", "produced"},
	"upper_institution": {"上级机构或总行高级管理人员", "the upper institution or a senior manager of the head office"}, "sent": {"发送", "sent"}, "made": {"形成", "made"}, "granted": {"取得", "granted"},
	"last_used": {"最后一次使用", "last used"}, "last_activity": {"最后一次往来", "last activity"}, "product_end": {"产品终止", "the product ends"},
	"dispute_settled": {"纠纷解决", "the dispute is settled"}, "debtor_unreachable": {"债务人失联", "the debtor cannot be reached"}, "debtor_dead": {"债务人死亡", "the debtor is dead"},
	"debtor_incapacitated": {"债务人丧失行为能力", "the debtor is incapacitated"}, "outsourcing_notice": {"委外催收告知", "the notice that collection is outsourced"},
	"sms_log": {"短信收发记录", "records of messages"}, "complaint": {"投诉档案", "complaint files"}, "telemarketing": {"电话营销记录", "telemarketing records"},
	"consent_proof": {"同意的凭证", "proofs of consent"}, "sales_recording": {"销售录音录像", "sales recordings"}, "impact_assessment": {"影响评估报告", "impact assessments"},
	"data_provision": {"提供个人信息的记录", "records of data given to others"}, "collection": {"催收", "collection"}, "recording_collection": {"催收录音", "recordings of collection"},
	"card_collection": {"信用卡催收记录", "records of card collection"}, "identity_check": {"核实身份", "a check of identity"}, "purpose": {"联系目的", "what it is about"},
	"consent_request": {"征求同意", "a request for consent"}, "held_document": {"本行已掌握的材料", "documents the bank already holds"},
	"facts": {"事实", "the facts"}, "basis": {"依据", "the basis"}, "review": {"核查途径", "the way to a review"}, "arbitration": {"仲裁", "arbitration"}, "litigation": {"诉讼", "litigation"},
	"phone": {"电话号码", "phone number"}, "name": {"姓名", "name"}, "id_number": {"证件号码", "ID number"}, "email": {"电子邮箱", "e-mail"}, "card": {"卡号", "card number"},
	"decision": {"决定", "the decision"}, "reasons": {"理由", "the reasons"}, "ombudsman": {"申诉专员", "the ombudsman"}, "ombudsman_website": {"申诉专员网站", "the ombudsman's website"},
	"resolved": {"已解决的确认", "that it is resolved"}, "waiver_statement": {"是否放弃权利的说明", "whether rights are waived"}, "six_months": {"六个月申诉期限", "the six months for going there"},
	"cause_of_delay": {"延误原因", "the cause of the delay"}, "new_date": {"新的日期", "the new date"},
	"account_number": {"账号", "account number"}, "card_number": {"卡号", "card number"}, "card_expiry": {"卡有效期", "card expiry"}, "card_track": {"磁道信息", "card track data"},
	"cvn": {"卡验证码", "card verification number"}, "pin": {"密码", "PIN"}, "one_time_code": {"一次性验证码", "one-time code"}, "biometrics": {"生物特征", "biometrics"}, "opening_branch": {"开户行", "branch of the account"},
	"address": {"地址", "address"}, "birthday": {"生日", "birthday"}, "balance": {"余额", "balance"},
}
