"""Little words that run through any text of a language, and few texts of its neighbours."""

from __future__ import annotations

_LATIN = {
    "en": "the of and to in a an is that for it with as was on be by are this which or from at not shall has",
    "de": "der die und den das von zu mit des sich ist im dem nicht ein eine auf für als auch wird oder bei",
    "fr": "le la les des et du une est dans que pour qui par sur pas au aux avec sont ce cette ou ne il elle",
    "es": "el la los de que y en las del se por con una su para como es al lo más pero fue este o son",
    "pt": "o os do da que e em não uma um dos das com se por para no na ao mais como foi à pelo são ou",
    "it": "il di che è la e per un una non con del della dei le si nel da sono alla gli come ha anche delle",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er die door ook om wordt als bij of",
    "sv": "och att det som en på är av för med till den inte har ett om de eller från vid ska kan hade sig",
    "da": "og at det som en på er af for med til den ikke har et om de eller fra ved skal kan havde sig blev",
    "no": "og at det som en på er av for med til den ikke har et om de eller fra ved skal kan hadde seg ble",
    "fi": "ja on ei se että hän oli joka kun mutta ovat tai myös sen ole kuin niin voi tämä mukaan vain sekä",
    "et": "ja on ei see et kui ta oli mis ka või oma nii ning kes aga siis seda saab pole veel selle",
    "lv": "un ir no ar par kas ka uz tas to bet pie lai nav tika arī kā vai gada pēc līdz ja",
    "lt": "ir yra kad su tai bet kaip iš į apie buvo jis nuo jo tik arba nėra metų už prie ar kuris",
    "pl": "i w na z się nie do to jest że o od po za przez jak oraz dla lub są ale ma który tym został",
    "cs": "a v na se je že s o z do i ve to jako za by pro po nebo k jsou který od jeho byl není podle",
    "sk": "a v na sa je že s o z do aj vo to ako za by pre po alebo k sú ktorý od jeho bol nie podľa",
    "sl": "in v na se je da za so ki s z po pa ne tudi kot od ali do bi iz o pri biti njegov med",
    "hr": "i u na se je da za su koji s od kao ne ili do bi iz o pri biti njegov nije što sve te",
    "hu": "a az és hogy nem egy is van meg ez azt volt csak de vagy mint el kell ki már lehet után szerint",
    "ro": "și în de la cu pe un o care nu din se pentru este sau mai ca prin au fost al ale sunt ce",
    "tr": "ve bir bu için ile da de olarak olan daha gibi çok kadar sonra göre ancak veya her ise değil olup",
    "sq": "të e në dhe për një me që nga i së nuk është si por ka janë do kjo më ose u",
    "is": "og að í á er sem til það við um ekki var en af með fyrir hann því eða eru þess frá hefur",
    "ca": "el la de que i en els les del per amb una un és no al dels com més però aquest o són va",
    "eu": "eta da bat ez du dira zen ere baina izan hau egin dute edo izango dituen bere zuen den beste",
    "af": "die van en in is dat nie het op te met vir wat aan hy deur ook om word as by of sy",
    "id": "yang dan di dengan untuk dari pada ini tidak dalam itu adalah atau oleh akan sebagai telah bahwa",
    "vi": "của và là có trong được cho không với các một này những đã người để khi từ về đến theo",
    "sw": "ya na wa kwa ni katika la za cha kuwa hii au kama hiyo lakini yake pia baada huo hadi",
    "tl": "ang ng sa na mga ay at ito ni kung hindi para may siya niya ako o din pa kanyang",
}
_CYRILLIC = {
    "ru": "и в не на что с он как по но это из от его за для при или также был к о все так том",
    "uk": "і в не на що з він як за але це із від його для при або також був та є до у про ця ці",
    "be": "і ў не на што з ён як па але гэта ад яго за для пры або таксама быў да у пра гэты яны",
    "bg": "и в не на че с той как по но това от за при или също беше към се да са е за до ще",
    "mk": "и во не на дека со тој како по но ова од за при или исто беше кон се да се е до ќе",
    "sr": "и у не на да са он као по али ово од за при или је су се који што до би сам није",
    "kk": "және мен бұл үшін бар бір деп оның болып осы да де емес немесе кейін бойынша туралы еді",
}
_DEVANAGARI = {
    "hi": "है के में की और से का को पर यह एक नहीं कि हैं भी था लिए इस ने तो",
    "mr": "आहे आणि या च्या ते की हे तर मध्ये नाही होते एक आहेत केले व असे हा ती पण",
    "ne": "छ र मा लागि यो पनि हो भने गर्न छन् थियो तर गरेको बाट भएको",
}
LATIN = {code: frozenset(words.split()) for code, words in _LATIN.items()}
CYRILLIC = {code: frozenset(words.split()) for code, words in _CYRILLIC.items()}
DEVANAGARI = {code: frozenset(words.split()) for code, words in _DEVANAGARI.items()}
