"""The workflows, names and values that the seeded accounts are filled with. Rule: believable, and invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NO_DEFAULT: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One trigger input; `sample` says which list of values seeded instances take it from."""

    name: str
    data_type: str = "String"
    sample: str = "word"
    default: Any = NO_DEFAULT

    def schema(self) -> dict[str, Any]:
        item: dict[str, Any] = {"field_name": self.name, "field_data_type": self.data_type}
        if self.default is not NO_DEFAULT:
            item["default_value"] = self.default
        return item


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow as published: what it asks for and the steps an instance goes through."""

    name: str
    fields: tuple[Field, ...]
    steps: tuple[str, ...]
    about: str = "company"
    life_days: float = 90
    status: str = "active"


CATALOG = (
    Definition(
        "Supplier NDA",
        (
            Field("Supplier name", sample="company"),
            Field("Contact name", sample="person"),
            Field("Contact email", sample="email"),
            Field("Effective date", "Date", "date"),
            Field("Mutual", "Boolean", "flag", True),
            Field("Governing law", sample="law", default="England and Wales"),
        ),
        ("Collect supplier details", "Prepare agreement", "Supplier signs", "Countersign", "File agreement"),
    ),
    Definition(
        "Offer letter",
        (
            Field("Candidate name", sample="person"),
            Field("Candidate email", sample="email"),
            Field("Job title", sample="job"),
            Field("Annual salary", "Number", "salary"),
            Field("Start on", "Date", "date"),
            Field("Probation months", "Number", "months", 3),
        ),
        ("Prepare offer", "Manager approves", "Candidate signs", "Notify payroll"),
        about="person",
        life_days=14,
    ),
    Definition(
        "Invoice approval",
        (
            Field("Invoice number", sample="invoice"),
            Field("Supplier", sample="company"),
            Field("Amount", "Number", "amount"),
            Field("Currency", sample="currency", default="EUR"),
            Field("Cost center", sample="cost_center"),
            Field("Urgent", "Boolean", "flag", False),
        ),
        ("Check invoice", "Approve amount", "Book payment"),
        about="invoice",
        life_days=30,
    ),
    Definition(
        "Contractor onboarding",
        (
            Field("Contractor name", sample="person"),
            Field("Contractor email", sample="email"),
            Field("Company address", "object", "address"),
            Field("Systems", "array", "systems", ["E-mail", "Time sheets"]),
            Field("Day rate", "Number", "rate"),
            Field("First day", "Date", "date"),
        ),
        ("Collect tax form", "Verify identity", "Sign contract", "Create accounts", "Welcome meeting"),
        about="person",
        life_days=60,
    ),
    Definition(
        "Lease renewal",
        (
            Field("Tenant", sample="person"),
            Field("Tenant email", sample="email"),
            Field("Property", sample="property"),
            Field("New monthly rent", "Number", "rent"),
            Field("Renewal date", "Date", "date"),
        ),
        ("Prepare addendum", "Tenant signs", "Landlord signs"),
        about="property",
    ),
    Definition(
        "Purchase order",
        (
            Field("Order number", sample="order"),
            Field("Supplier", sample="company"),
            Field("Lines", "array", "lines"),
            Field("Total", "Number", "amount"),
            Field("Deliver to", "object", "address"),
        ),
        ("Check budget", "Approve order", "Supplier confirms"),
        about="order",
        life_days=45,
    ),
    Definition(
        "Data processing agreement",
        (
            Field("Processor", sample="company"),
            Field("Processor email", sample="email"),
            Field("Purposes", "array", "purposes", ["Hosting"]),
            Field("Transfers outside the EEA", "Boolean", "flag", False),
        ),
        ("Risk questionnaire", "Privacy review", "Processor signs", "Countersign"),
    ),
    Definition(
        "Sales contract",
        (
            Field("Customer", sample="company"),
            Field("Customer contact", sample="person"),
            Field("Customer email", sample="email"),
            Field("Contract value", "Number", "value"),
            Field("Term in months", "Number", "months", 12),
            Field("Closing at", "DateTime", "moment"),
        ),
        (
            "Legal review",
            "Discount approval",
            "Customer signs",
            "Countersign",
            "Hand over to delivery",
            "File agreement",
        ),
    ),
    Definition(
        "Employee leaver checklist",
        (Field("Employee", sample="person"), Field("Last day", "Date", "date"), Field("Manager email", sample="email")),
        ("Return equipment", "Close accounts", "Final payslip"),
        about="person",
        life_days=30,
    ),
    Definition(
        "Volunteer agreement 2024",
        (Field("Volunteer", sample="person"), Field("Volunteer email", sample="email")),
        ("Send agreement", "Volunteer signs"),
        about="person",
        status="inactive",
    ),
)

REGIONS = (
    "Benelux",
    "Iberia",
    "Nordics",
    "Ireland",
    "Bavaria",
    "Ontario",
    "Queensland",
    "Texas",
    "Kansai",
    "Western Cape",
)

SAMPLES: dict[str, tuple[Any, ...]] = {
    "word": ("Standard", "Priority", "Renewal", "Pilot"),
    "company": (
        "Brightwater Foods Ltd", "Kestrel Logistics", "Oakfield Dental", "Tamarind Software", "Halden & Sons", "Blue Fjord Energy",
        "Marlowe Print Works", "Quince Interiors", "Redstone Quarries", "Silverlake Clinics", "Torvald Marine", "Umber Studios",
        "Vale Analytics", "Westgate Motors", "Yarrow Textiles", "Zephyr Couriers",
    ),
    "person": (
        "Amara Okafor", "Ben Lindqvist", "Chloe Marchetti", "Daniel Osei", "Elena Petrova", "Farid Rahimi", "Grace Whitlock",
        "Hiro Tanaka", "Ines Carvalho", "Jonas Weber", "Katya Sorokina", "Liam Doherty", "Mei Chen", "Nadia Haddad", "Oscar Nyman",
        "Priya Raman",
    ),
    "email": (
        "amara.okafor@example.com", "ben.lindqvist@example.com", "chloe.marchetti@example.com", "daniel.osei@example.com",
        "elena.petrova@example.com", "farid.rahimi@example.com", "grace.whitlock@example.com", "hiro.tanaka@example.com",
        "ines.carvalho@example.com", "jonas.weber@example.com", "katya.sorokina@example.com", "liam.doherty@example.com",
        "mei.chen@example.com", "nadia.haddad@example.com", "oscar.nyman@example.com", "priya.raman@example.com",
    ),
    "property": (
        "Flat 3, 18 Harbor Street", "22 Mill Lane", "Unit 7, Station Yard", "5 Orchard Close", "Flat 12, Canal House",
        "41 Abbey Road", "Shop 2, Market Hall", "9 Larch Avenue",
    ),
    "job": ("Data analyst", "Account manager", "Site engineer", "Nurse", "Product designer", "Payroll clerk"),
    "law": ("England and Wales", "Germany", "State of New York", "Ireland"),
    "invoice": ("INV-20417", "INV-20455", "INV-20498", "INV-20533", "INV-20571", "INV-20602", "INV-20648", "INV-20690"),
    "order": ("PO-7301", "PO-7318", "PO-7344", "PO-7359", "PO-7382", "PO-7401", "PO-7427", "PO-7450"),
    "currency": ("EUR", "USD", "GBP"),
    "cost_center": ("4100 Operations", "4200 Marketing", "4300 Facilities", "4400 IT"),
    "salary": (38500, 42000, 51250, 63800, 70000),
    "amount": (129.9, 480, 1250.5, 3999, 12480.75),
    "value": (18000, 42500, 96000, 240000),
    "rate": (320, 410.5, 560, 675),
    "rent": (890, 1145.5, 1480, 2100),
    "months": (3, 6, 12, 24),
    "date": ("2026-01-15", "2026-02-01", "2026-03-02", "2026-04-01", "2026-05-18"),
    "moment": ("2026-01-15T09:30:00Z", "2026-02-01T14:00:00+02:00"),
    "flag": (True, False),
    "address": (
        {"street": "18 Harbor Street", "city": "Bristol", "postcode": "BS1 4QA"},
        {"street": "Lindenweg 4", "city": "Hamburg", "postcode": "20095"},
        {"street": "77 Front Street", "city": "Toronto", "postcode": "M5J 1E6"},
    ),
    "systems": (["E-mail", "Time sheets"], ["E-mail", "Source code", "VPN"], ["E-mail"]),
    "lines": ([{"item": "Laptop", "quantity": 4}], [{"item": "Chair", "quantity": 12}, {"item": "Desk", "quantity": 6}]),
    "purposes": (["Hosting"], ["Hosting", "Support"], ["Analytics"]),
}  # fmt: skip
