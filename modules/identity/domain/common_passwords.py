"""Passwords that everybody tries first, of twelve characters and more; shorter ones are refused anyway."""

from typing import Final

STEMS: Final = frozenset(
    """
    abcdefgh abcdefghijkl administrator adminadmin asdfghjkl asdfasdf baseball basketball blahblah butterfly changeme charlie chelsea
    chocolate computer corvette dragon dragonball einstein elephant firefighter football forever freedom friends fuckyou fuckoff
    gateway godzilla guitar hello helloworld homework iloveyou iloveu internet jessica jordan justin ladybug letmein letmeinnow
    liverpool loveyou lovelove manchester manutd master maverick mercedes metallica michael michelle midnight monkey motorola mustang
    mypassword myspace newpassword nicole ninja nothing opensesame pass passpass passphrase passw0rd password passwordpassword
    passwort patrick pokemon porsche princess qazwsx qazwsxedc qazwsxedcrfv qqww1122 qwer qwert qwerty qwertyuiop qwertyqwerty
    qwertyuiopasdfghjkl rangers ranger remember rockyou secret secretpassword security shadow snowball soccer sophie spiderman
    starwars summer sunflower sunshine superman superstar supersecret swordfish system test testtest testing thomas tinkerbell
    trustme trustno trustno1 unicorn universe unknown victoria vikings welcome welcomehome whatever willow winter wolverine yankees
    zaqwsx zxcvbn zxcvbnm p@ssw0rd p@ssword pa$$word pa55word pa$$w0rd motdepasse contrasena contraseña senha passworte parola
    spring autumn default access login user userpassword guest root toor rootroot demo demopassword
    """.split()  # noqa: SIM905 - one word to a line would hide the rule behind the words
)
"""Refused together with any digits and punctuation around them: `password12345`, `!Welcome2024!`."""

EXACT: Final = frozenset(
    """
    0123456789012 012345678910 0987654321098 098765432109 1029384756102 102938475610 111222333444 112233445566 11223344556677
    1122334455667788 123123456456 123456123456 1234567890ab 1234567890abc 1234567890qwe 1234567890qwerty 12345678900 123456789000
    123456789009 1234567890098 12345678900987654321 123456789012 1234567890123 12345678901234 123456789012345 1234567890123456
    12345678901234567890 123456789101 1234567891011 123456789101112 123456789abc 123456789abcd 123456789qaz 123456789qwe
    123456789qwer 123456abcdef 123456qwerty 123654789654 123qweasdzxc 123qwe123qwe 13579246810 1357924680135 147258369147
    147258369369 159357258456 1a2b3c4d5e6f 1q2w3e4r5t6y 1q2w3e4r5t6y7u 1q2w3e4r5t6y7u8i 1q2w3e4r5t6y7u8i9o 1q2w3e4r5t6y7u8i9o0p
    1qaz2wsx3edc 1qaz2wsx3edc4rfv 1qazxsw23edc 1qazxsw2!qaz 1qaz!qaz2wsx 2wsx3edc4rfv 741852963741 789456123000 789456123789
    963852741963 987654321000 987654321012 9876543210123 98765432109876 a1b2c3d4e5f6 a1b2c3d4e5f6g7 a1s2d3f4g5h6 abc123abc123
    abcd1234abcd abcd1234efgh abcdefg12345 abcdefgh1234 abcdefghijklm abcdefghijklmn abcdefghijklmnop abcdefghijklmnopqrstuvwxyz
    aaabbbcccddd asdf1234asdf asdfghjkl123 asdfghjkl;'\\ asdfjkl;asdf asdfqwerzxcv azertyuiop12 azertyuiopqsdfghjklm
    correcthorsebatterystaple iloveyouforever iloveyousomuch ilovemyfamily ilovejesus12 jesusislord
    jesuschrist1 letmeinplease myfirstpassword mynewpassword nopassword123 onetwothreefour password1234567890 passwordispassword
    poiuytrewq12 poiuytrewqlkjhgfdsa q1w2e3r4t5y6 q1w2e3r4t5y6u7 q1w2e3r4t5y6u7i8 qawsedrftgyh qazwsxedc123 qazwsx123456
    qazxswedcvfr qwaszxqwaszx qweasdzxc123 qweasdzxcqwe qwe123qwe123 qwer1234qwer qwer1234asdf qwerasdfzxcv qwerty123456
    qwerty12345678 qwerty123qwerty qwertyasdfgh qwertyuiop[] qwertyuiopasdf qwertzuiop12 qwertzuiopasdfghjkl thequickbrownfox
    thisismypassword zaq12wsxcde3 zaq1zaq1zaq1 zaq1xsw2cde3 zaq1xsw2cde3vfr4 zxcvbnm12345 zxcvbnmasdfghjkl zxcvbnm,./12
    whatisthis123 wordpassword1
    """.split()  # noqa: SIM905 - one word to a line would hide the rule behind the words
)
